// The throughput of the last hour: a bar for each minute, and the same in words.

import { count, find, now, put } from "./live.js";

const SVG = "http://www.w3.org/2000/svg";
const MINUTES = 60;

export function showThroughput(minutes) {
  const svg = find("#throughput");
  while (svg.children.length < MINUTES * 2) svg.append(document.createElementNS(SVG, "rect"));
  const byTime = new Map(minutes.map((one) => [Date.parse(one.minute), one]));
  const present = Math.floor(now() / 60_000);
  const bars = Array.from({ length: MINUTES }, (_, at) => {
    const time = (present - MINUTES + 1 + at) * 60_000;
    return { time, ...(byTime.get(time) ?? { succeeded: 0, others: 0 }) };
  });
  const most = bars.reduce((a, b) => (b.succeeded + b.others > a.succeeded + a.others ? b : a));
  const [height, width] = [80, 600 / MINUTES];
  const scale = (height - 2) / Math.max(1, most.succeeded + most.others);
  bars.forEach((bar, at) => {
    let y = height;
    ["succeeded", "others"].forEach((part, layer) => {
      const size = bar[part] * scale;
      y -= size;
      const shape = { class: part, x: at * width + 1, y, width: width - 2, height: size };
      for (const [name, value] of Object.entries(shape)) svg.children[at * 2 + layer].setAttribute(name, value);
    });
  });
  const sum = (part) => bars.reduce((sum, bar) => sum + bar[part], 0);
  const peak = `at most ${count(most.succeeded + most.others)} in a minute, at ${new Date(most.time).toISOString().slice(11, 16)} UTC`;
  const total = `${count(sum("succeeded"))} done, ${count(sum("others"))} failed or cancelled within the last hour`;
  put(find("#throughput-text"), sum("succeeded") + sum("others") > 0 ? `${total}; ${peak}.` : "Nothing has ended within the last hour.");
}
