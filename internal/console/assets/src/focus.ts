import { on, type Context, type Task } from "./htmx";

// Where a person was before an answer took her place away: the elements around her, from the
// nearest outward, and how far she had read.
let place: { around: Element[]; ids: string[]; top: number; region?: Element } | undefined;

on<{ ctx: Context; tasks: Task[] }>("htmx:before:swap", ({ tasks }) => {
  const active = document.activeElement;
  const around: Element[] = [];
  for (let e: Element | null = active; e && e !== document.body; e = e.parentElement) around.push(e);
  const moves = tasks.some((t) => t.swapSpec.show || t.swapSpec.scroll);
  place = { around, ids: around.map((e) => e.id), top: moves ? -1 : window.scrollY };
});

on("htmx:after:swap", () => {
  const was = place;
  place = undefined;
  if (!was) return;
  if (was.around.length && !focused()) restore(was.around, was.ids);
  if (was.top >= 0 && Math.abs(window.scrollY - was.top) > 1) window.scrollTo({ top: was.top, behavior: "instant" });
});

function focused(): boolean {
  const active = document.activeElement;
  return !!active && active !== document.body && active !== document.documentElement;
}

// restore goes to the same element, or to one with its id, or to the nearest place around it
// that is still there: the focus never falls back to the beginning of the page.
function restore(around: Element[], ids: string[]): void {
  for (let i = 0; i < around.length; i++) {
    const target = around[i].isConnected ? around[i] : ids[i] ? document.getElementById(ids[i]) : null;
    if (!(target instanceof HTMLElement)) continue;
    target.focus({ preventScroll: true });
    if (focused()) return;
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    if (focused()) return;
  }
  const main = document.querySelector<HTMLElement>("main");
  if (!main) return;
  main.tabIndex = -1;
  main.focus({ preventScroll: true });
}
