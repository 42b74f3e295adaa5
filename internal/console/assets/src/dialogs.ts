import { on, type Context } from "./htmx";

// <button data-dialog="#id"> opens a dialog, <button data-close> closes the one around it; one
// with data-modal that an answer brings is opened at once. The browser itself keeps the focus
// inside, gives it back and closes at Escape.
document.addEventListener("click", (event) => {
  const at = event.target as Element;
  const opens = at.closest<HTMLElement>("[data-dialog]");
  if (opens?.dataset.dialog) open(document.querySelector<HTMLDialogElement>(opens.dataset.dialog));
  else if (at.closest("[data-close]")) at.closest("dialog")?.close();
  else if (at instanceof HTMLDialogElement && at.id === "palette") at.close(); // beside it
});

// open shows a dialog, if it is not open.
export function open(dialog: HTMLDialogElement | null): void {
  if (dialog && !dialog.open) dialog.showModal();
}

on("htmx:after:swap", () => document.querySelectorAll<HTMLDialogElement>("dialog[data-modal]").forEach(open));

// What hx-confirm asks is asked in the dialog #confirm of the page, in the page's language.
on<{ ctx: Context; issueRequest(): void; dropRequest(): void }>("htmx:confirm", ({ ctx, issueRequest, dropRequest }, event) => {
  const dialog = document.querySelector<HTMLDialogElement>("dialog#confirm");
  const question = dialog?.querySelector("[data-question]");
  if (!dialog || !question) return;
  event.preventDefault();
  question.textContent = ctx.confirm ?? "";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
  open(dialog);
});
