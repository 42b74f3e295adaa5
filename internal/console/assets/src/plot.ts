import uPlot from "uplot";

// A plot draws the numbers of the table beside it, which stays there for who reads it instead:
//
//   <figure class="plot" id="lag" data-plot="line" data-zone="Asia/Tokyo">
//     <figcaption>…</figcaption>
//     <div class="plot-area" hx-morph-skip></div>
//     <details><summary>…</summary><table>…</table></details>
//   </figure>
//
// The first cell of a row is the time (<time datetime>) or a name, each other a number, which
// data-value gives where the words of the cell are not one. The headings name the series.
const height = 180;

interface Numbers {
  names: string[];
  labels: string[]; // of the rows, where they are no times
  columns: (number | null)[][];
}

function read(table: HTMLTableElement): Numbers {
  const names = [...(table.tHead?.rows[0]?.cells ?? [])].map((c) => c.textContent?.trim() ?? "");
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  const columns: (number | null)[][] = names.map(() => []);
  const labels: string[] = [];
  const timed = rows.some((row) => row.querySelector("time"));
  rows.forEach((row, r) => {
    const time = row.querySelector("time")?.dateTime;
    columns[0].push(time ? Date.parse(time) / 1000 : r);
    if (!timed) labels.push(row.cells[0]?.textContent?.trim() ?? "");
    for (let c = 1; c < names.length; c++) columns[c].push(number(row.cells[c]));
  });
  return { names, labels, columns };
}

function number(cell: HTMLTableCellElement | undefined): number | null {
  const text = cell?.dataset.value ?? cell?.textContent?.trim() ?? "";
  return text === "" || Number.isNaN(Number(text)) ? null : Number(text);
}

class Plot {
  private readonly figure: HTMLElement;
  private readonly area: HTMLElement;
  private chart?: uPlot;
  private shape = ""; // what the chart was made for
  private text = ""; // of the table that is drawn

  constructor(figure: HTMLElement, area: HTMLElement) {
    this.figure = figure;
    this.area = area;
    area.setAttribute("aria-hidden", "true"); // the table says the same
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(area);
  }

  draw(anew = false): void {
    const table = this.figure.querySelector("table");
    if (!table) return;
    const text = table.innerHTML;
    if (!anew && text === this.text) return;
    this.text = text;
    const numbers = read(table);
    const shape = JSON.stringify([numbers.names, numbers.labels]);
    if (anew || shape !== this.shape || !this.chart) this.make(numbers);
    else this.chart.setData(numbers.columns as uPlot.AlignedData);
    this.shape = shape;
  }

  private size() {
    return { width: Math.max(this.area.clientWidth, 120), height };
  }

  private make({ names, labels, columns }: Numbers): void {
    this.chart?.destroy();
    this.area.replaceChildren(legend(names));
    const style = getComputedStyle(this.figure);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const zone = this.figure.dataset.zone;
    const bars = this.figure.dataset.plot === "bars";
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const options: uPlot.Options = {
      ...this.size(),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: labels.length === 0 }, y: { range: (_, min, max) => [Math.min(0, min ?? 0), max > 0 ? max * 1.05 : 1] } },
      axes: [
        { ...axis, values: labels.length ? (_, at) => at.map((v) => labels[v] ?? "") : (_, at) => times(at, zone), space: 64 },
        { ...axis, size: 56, values: (_, at) => at.map((v) => short(v)) },
      ],
      series: names.map((label, i) => (i === 0 ? {} : series(label, color(`--series-${((i - 1) % 4) + 1}`), i, bars))),
    };
    this.chart = new uPlot(options, columns as uPlot.AlignedData, this.area);
  }
}

// A series differs from the others by its dashes as well as by its color.
function series(label: string, stroke: string, index: number, bars: boolean): uPlot.Series {
  if (bars) return { label, stroke, fill: stroke, paths: uPlot.paths.bars?.({ size: [0.7, 48] }), points: { show: false } };
  return { label, stroke, width: 2, dash: [[], [8, 4], [2, 3], [10, 3, 2, 3]][(index - 1) % 4], points: { show: false } };
}

function legend(names: string[]): HTMLElement {
  const list = document.createElement("ul");
  list.className = "plot-legend";
  names.slice(1).forEach((name, i) => {
    const item = document.createElement("li");
    item.className = `series-${(i % 4) + 1}`;
    item.textContent = name;
    list.append(item);
  });
  list.hidden = names.length < 3;
  return list;
}

// times writes the marks of the time axis in the shop's zone, without words of any language.
function times(at: number[], zone: string | undefined): string[] {
  const span = at.length > 1 ? at[at.length - 1] - at[0] : 0;
  const step = at.length > 1 ? at[1] - at[0] : 60;
  const day = span > 36 * 3600;
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone || undefined,
    ...(day ? { month: "2-digit", day: "2-digit" } : { hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}) }),
  });
  return at.map((v) => {
    const parts = Object.fromEntries(format.formatToParts(v * 1000).map((p) => [p.type, p.value]));
    return day ? `${parts.month}-${parts.day}` : [parts.hour, parts.minute, parts.second].filter(Boolean).join(":");
  });
}

function short(v: number): string {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (Math.abs(v) >= size) return `${+(v / size).toFixed(1)} ${unit}`;
  }
  return String(+v.toFixed(2));
}

const plots = new Map<Element, Plot>();

function drawAll(anew = false): void {
  for (const area of plots.keys()) if (!area.isConnected) plots.delete(area);
  for (const figure of document.querySelectorAll<HTMLElement>("figure[data-plot]")) {
    const area = figure.querySelector<HTMLElement>(".plot-area");
    if (!area) continue;
    let plot = plots.get(area);
    if (!plot) plots.set(area, (plot = new Plot(figure, area)));
    plot.draw(anew);
  }
}

drawAll();
document.addEventListener("htmx:after:swap", () => drawAll());
document.addEventListener("scheme", () => drawAll(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
