import { acceptCompletion, autocompletion, closeBrackets, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Text } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// The editor takes the place of <textarea data-mapping>, which stays in its form and keeps the
// text, so that everything works without it:
//
//   data-nonce    nonce of the page's policy, for the editor's style element
//   data-schema   address of the completions: {"paths": {"fields.*": [{"label", "detail", "info"}]}}
//   data-faults   selector of the list of faults, <li data-line data-column data-severity>text,
//                 which the server sends anew after each change
//   data-phrases  the editor's own words in the page's language, as a JSON object
//
// An answer that brings <textarea data-mapping-source> puts its text into the editor, where it
// can be undone. After a change the textarea gets the event "mapping", which its form sends to the server.
interface Schema {
  paths: Record<string, Completion[]>;
}

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: "tok-key" },
  { tag: [tags.string, tags.content], class: "tok-text" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], class: "tok-value" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: [tags.punctuation, tags.separator, tags.meta, tags.labelName], class: "tok-mark" },
]);

// path is where a line stands: the keys above it with less indentation, and its own indentation.
function path(doc: Text, line: number, indent: number): string[] {
  const keys: string[] = [];
  for (let n = line - 1; n > 0 && indent > 0; n--) {
    const m = /^(\s*(?:- +)*)([^\s#:][^:#]*):(?:\s|$)/.exec(doc.line(n).text);
    if (!m || m[1].length >= indent) continue;
    indent = m[1].length;
    keys.unshift(m[2].trim().replace(/^["']|["']$/g, ""));
  }
  return keys;
}

// offered finds the completions of a path; a * in the schema stands for any one key.
function offered(schema: Schema, keys: string[]): Completion[] {
  return Object.entries(schema.paths)
    .filter(([pattern]) => {
      const parts = pattern === "" ? [] : pattern.split(".");
      return parts.length === keys.length && parts.every((p, i) => p === "*" || p === keys[i]);
    })
    .flatMap(([, options]) => options);
}

function complete(schema: Schema) {
  return (context: CompletionContext): CompletionResult | null => {
    const line = context.state.doc.lineAt(context.pos);
    const before = line.text.slice(0, context.pos - line.from);
    const value = /^(\s*(?:- +)*)([^\s#:][^:#]*):\s+(\S*)$/.exec(before);
    const key = /^(\s*(?:- +)*)([\w-]*)$/.exec(before);
    const m = value ?? key;
    if (!m) return null;
    const typed = value ? value[3] : (key?.[2] ?? "");
    if (!typed && !context.explicit && !value) return null;
    const keys = path(context.state.doc, line.number, m[1].length);
    if (value) keys.push(value[2].trim(), ":");
    const options = offered(schema, keys);
    return options.length ? { from: context.pos - typed.length, options, validFor: /^[\w.-]*$/ } : null;
  };
}

function faults(list: Element | null, doc: Text): Diagnostic[] {
  return [...(list?.querySelectorAll<HTMLElement>("[data-line]") ?? [])].map((item) => {
    const line = doc.line(Math.min(Math.max(Number(item.dataset.line) || 1, 1), doc.lines));
    const column = Math.max(Number(item.dataset.column) || 1, 1);
    const from = Math.min(line.from + column - 1, line.to);
    return { from: item.dataset.column ? from : line.from, to: line.to, severity: item.dataset.severity === "warning" ? "warning" : "error", message: item.textContent?.trim() ?? "" };
  });
}

async function start(area: HTMLTextAreaElement): Promise<void> {
  const { nonce, schema, faults: list, phrases } = area.dataset;
  const known: Schema = schema ? await (await fetch(schema)).json() : { paths: {} };
  const label = area.labels?.[0];
  const view = new EditorView({
    doc: area.value,
    extensions: [
      EditorView.cspNonce.of(nonce ?? ""),
      phrases ? EditorState.phrases.of(JSON.parse(phrases)) : [],
      EditorState.readOnly.of(area.readOnly),
      EditorView.contentAttributes.of({ "aria-label": label?.textContent?.trim() ?? "", id: `${area.id}-editor`, tabindex: "0" }),
      lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(),
      indentUnit.of("  "), yaml(), syntaxHighlighting(colors), lintGutter(), search({ top: true }),
      autocompletion({ override: [complete(known)] }),
      // Tab takes a completion when one is shown; else it leaves the editor, as everywhere.
      keymap.of([{ key: "Tab", run: acceptCompletion }, { key: "Mod-]", run: indentMore }, { key: "Mod-[", run: indentLess }, ...defaultKeymap, ...historyKeymap, ...searchKeymap, ...lintKeymap]),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        area.value = update.state.doc.toString();
        area.dispatchEvent(new CustomEvent("mapping", { bubbles: true }));
      }),
    ],
  });
  area.hidden = true;
  area.after(view.dom);
  label?.addEventListener("click", () => view.focus());
  let marked = "";
  const mark = () => {
    const found = list ? document.querySelector(list) : null;
    if ((found?.innerHTML ?? "") === marked) return; // a stream updates other parts meanwhile
    marked = found?.innerHTML ?? "";
    view.dispatch(setDiagnostics(view.state, faults(found, view.state.doc)));
  };
  mark();
  document.addEventListener("htmx:after:swap", () => {
    const source = document.querySelector<HTMLTextAreaElement>("textarea[data-mapping-source]");
    if (source) {
      source.removeAttribute("data-mapping-source");
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: source.value } });
    }
    mark();
  });
  document.addEventListener("click", (event) => {
    const at = (event.target as Element).closest<HTMLElement>("[data-goto-line]");
    if (!at) return;
    const line = view.state.doc.line(Math.min(Math.max(Number(at.dataset.gotoLine) || 1, 1), view.state.doc.lines));
    view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
    view.focus();
  });
}

document.querySelectorAll<HTMLTextAreaElement>("textarea[data-mapping]").forEach((area) => void start(area));
