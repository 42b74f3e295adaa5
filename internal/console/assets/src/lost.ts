import { announce } from "./announce";
import { on } from "./htmx";

// While the console does not answer, the element #lost of the page says so, with the next step.
function lost(is: boolean): void {
  const note = document.getElementById("lost");
  if (!note || note.hidden !== is) return;
  note.hidden = !is;
  if (is) announce(note.textContent?.trim() ?? "", true);
}

on<{ error?: Error }>("htmx:error", ({ error }) => {
  if (error instanceof TypeError) lost(true); // of fetch: no answer at all
});
on<{ error?: Error; status?: number }>("htmx:sse:error", ({ error, status }) => {
  if (status !== undefined || error instanceof TypeError) lost(true);
});
on("htmx:sse:after:connection", () => lost(false));
on("htmx:after:request", () => lost(false));
