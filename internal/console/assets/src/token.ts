import { on, type Context } from "./htmx";

// Each change carries the token of the page beside the cookie, which another origin cannot read.
on<{ ctx: Context }>("htmx:config:request", ({ ctx }) => {
  const token = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]');
  if (token) ctx.request.headers["X-CSRF-Token"] = token.content;
});
