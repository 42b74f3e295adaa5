import { on } from "./htmx";
import { open } from "./dialogs";

// The dialog #palette holds a form that posts what is typed in its input, whose results are
// elements with role=option: the arrows choose one, Enter goes there.
function parts() {
  const dialog = document.querySelector<HTMLDialogElement>("dialog#palette");
  return { dialog, input: dialog?.querySelector("input") ?? null, options: [...(dialog?.querySelectorAll<HTMLElement>("[role=option]") ?? [])] };
}

function choose(options: HTMLElement[], index: number): void {
  const { input } = parts();
  options.forEach((o, i) => {
    o.setAttribute("aria-selected", String(i === index));
    o.id ||= `palette-option-${i}`;
  });
  const chosen = options[index];
  chosen?.scrollIntoView({ block: "nearest" });
  if (chosen) input?.setAttribute("aria-activedescendant", chosen.id);
  else input?.removeAttribute("aria-activedescendant");
}

function show(): void {
  const { dialog, input } = parts();
  if (!dialog || !input || dialog.open) return;
  open(dialog);
  input.value = "";
  input.focus();
  input.dispatchEvent(new Event("input", { bubbles: true })); // the first results
}

document.addEventListener("click", (event) => {
  if ((event.target as Element).closest("[data-palette]")) show();
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return show();
  }
  const { dialog, input, options } = parts();
  if (!dialog?.open || event.target !== input || event.isComposing) return;
  const now = options.findIndex((o) => o.getAttribute("aria-selected") === "true");
  const next = { ArrowDown: now + 1, ArrowUp: now < 1 ? options.length - 1 : now - 1, Home: 0, End: options.length - 1 }[event.key];
  if (next !== undefined && options.length && (event.key.startsWith("Arrow") || input?.value === "")) {
    event.preventDefault();
    choose(options, next % options.length);
  } else if (event.key === "Enter") {
    event.preventDefault();
    const chosen = options[Math.max(now, 0)];
    (chosen?.querySelector<HTMLElement>("a, button") ?? chosen)?.click();
  }
});

document.addEventListener("submit", (event) => {
  if ((event.target as Element).closest("#palette")) event.preventDefault(); // words never stand in an address
});

on("htmx:after:swap", () => {
  const { dialog, options } = parts();
  if (dialog?.open) choose(options, options.length ? 0 : -1);
});
