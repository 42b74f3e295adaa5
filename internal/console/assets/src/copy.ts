import { announce } from "./announce";

// <button data-copy="text"> copies a text, for a while says the words of data-copied, and
// announces them.
document.addEventListener("click", async (event) => {
  const button = (event.target as Element).closest<HTMLElement>("[data-copy]");
  if (!button || button.dataset.before !== undefined) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
  } catch {
    select(button); // the browser did not allow it: the text is marked, for a copy by hand
    return;
  }
  const words = button.dataset.copied ?? "";
  announce(words, true);
  if (!words || button.firstElementChild) return;
  button.dataset.before = button.textContent ?? "";
  button.textContent = words;
  setTimeout(() => {
    if (button.textContent === words) button.textContent = button.dataset.before ?? "";
    delete button.dataset.before;
  }, 2000);
});

function select(button: HTMLElement): void {
  const text = button.parentElement?.querySelector("code");
  if (text) getSelection()?.selectAllChildren(text);
}
