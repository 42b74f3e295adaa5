import { on } from "./htmx";

// One polite live region a page, and at most one sentence in it in five seconds: who listens
// to a page that changes four times a second must still get to the end of a sentence.
const pause = 5000;
let last = -pause;
let waiting: { text: string; urgent: boolean } | undefined;
let timer = 0;

// announce says a sentence as soon as it may. What came of a person's own action is not
// displaced by what happened meanwhile.
export function announce(text: string, urgent = false): void {
  if (!text || (waiting?.urgent && !urgent)) return;
  waiting = { text, urgent };
  if (!timer) timer = window.setTimeout(say, Math.max(0, last + pause - performance.now()));
}

function say(): void {
  timer = 0;
  const region = document.getElementById("announcer");
  if (!waiting || !region) return;
  last = performance.now();
  region.textContent = waiting.text;
  waiting = undefined;
}

// The server announces by an event of the stream, or by the header HX-Trigger of an answer.
on<{ data?: string; value?: string }>("announce", ({ data, value }) => announce(data ?? value ?? "", data === undefined));

// A part of an answer that says what came of an action.
on("htmx:after:swap", () => {
  for (const part of document.querySelectorAll<HTMLElement>("[data-announce]")) {
    const text = part.dataset.announce || part.textContent?.trim() || "";
    part.removeAttribute("data-announce");
    announce(text, true);
  }
});
