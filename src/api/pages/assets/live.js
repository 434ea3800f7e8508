// Texts and tables that change while people look at them: what stays the same is not touched, so that focus,
// selection and scroll stay. Everything goes in as text.

export const find = (selector, within = document) => within.querySelector(selector);

// How far the server's clock is ahead of ours, in milliseconds.
let ahead = 0;

export function serverTime(date) {
  ahead = Date.parse(date) - Date.now() || ahead;
}

export const now = () => Date.now() + ahead;
export const count = (number) => number.toLocaleString("en");

function duration(ms) {
  const steps = [[1000, 1, "ms"], [60_000, 1000, "s"], [3_600_000, 60_000, "min"], [86_400_000, 3_600_000, "h"], [Infinity, 86_400_000, "d"]];
  const [, unit, name] = steps.find(([limit]) => ms < limit);
  const amount = ms / unit;
  return `${name === "s" && amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${name}`;
}

// Seconds at least: what is told anew each time would flicker. Other machines' clocks may be ahead.
const span = (ms) => (ms < 60_000 ? `${Math.max(0, Math.round(ms / 1000))} s` : duration(ms));
export const since = (time) => span(now() - Date.parse(time));
export const ago = (time) => (time ? `${since(time)} ago` : "–");
// An id begins with the time at which it was made, in milliseconds (RFC 9562, 5.7).
export const madeAt = (id) => new Date(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toISOString();
export const isAhead = (time) => Date.parse(time) > now();
export const until = (time) => (isAhead(time) ? `in ${span(Date.parse(time) - now())}` : "now");
export const moment = (time) => (time ? `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC` : "–");
export const pair = (one, other) => (one === undefined ? "–" : `${duration(one)} · ${duration(other)}`);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const button = (text, act, className = "quiet") => {
  const made = element("button", { type: "button", className, textContent: text });
  made.addEventListener("click", act);
  return made;
};

export function put(place, text) {
  if (place.textContent !== String(text)) place.textContent = text;
}

// Makes the children of a place those of a list. Children of the same key stay.
export function fill(place, items, keyOf, make) {
  const old = new Map([...place.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    const child = old.get(key) ?? make(item);
    old.delete(key);
    child.dataset.key = key;
    child.show(item);
    return child;
  });
  old.forEach((child) => child.remove());
  wanted.forEach((child, at) => {
    if (place.children[at] !== child) place.insertBefore(child, place.children[at] ?? null);
  });
}

// A row; `cells` are its texts, and nodes that show themselves.
export function row(cells, classes = []) {
  const made = element("tr");
  const places = cells.map((cell, at) => {
    const place = element(at === 0 ? "th" : "td", { className: classes[at] ?? "" });
    if (at === 0) place.scope = "row";
    if (typeof cell !== "function") place.append(cell);
    made.append(place);
    return place;
  });
  made.show = (item) => cells.forEach((cell, at) => (typeof cell === "function" ? put(places[at], cell(item)) : cell.show(item)));
  return made;
}

export function fillTable(name, items, keyOf, make, nothing) {
  const body = find(`#${name} tbody`);
  if (items.length > 0) return fill(body, items, keyOf, make);
  const width = [...find(`#${name} tr`).cells].reduce((sum, cell) => sum + cell.colSpan, 0);
  fill(body, [nothing], () => "nothing", () => {
    const cell = element("td", { colSpan: width, className: "nothing" });
    return Object.assign(element("tr", {}, cell), { show: (text) => put(cell, text) });
  });
}

// A node that knows how it shows an item.
export function shows(node, show) {
  return Object.assign(node, { show });
}
