// The page of the jobs. It asks every two seconds how they do.

import { ago, button, count, element, fill, fillTable, find, isAhead, madeAt, moment, pair, put, row, serverTime, shows, since, until } from "./live.js";
import { showThroughput } from "./throughput.js";

const DATA = "/backoffice/jobs/data";
const PAUSE = 2000;
const PER_PAGE = 20;

const view = new URLSearchParams(location.search);
const dialog = find("#job");

// ---- What the server says ----

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(method, path, body) {
  const answer = await fetch(`${DATA}/${path}`, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  serverTime(answer.headers.get("date"));
  const json = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Refused(answer.status, json.message);
  return json.data;
}

// ---- What is shown ----

const last = (id) => id.slice(-12);

function when(job) {
  if (job.state === "waiting") return isAhead(job.run_at) ? `due ${until(job.run_at)}` : `due for ${since(job.run_at)}`;
  if (job.state === "running") return `for ${since(job.started_at)}`;
  return ago(job.finished_at);
}

function stateOf(job) {
  if (job.state !== "running") return job.state;
  return job.cancel_requested ? "to be cancelled" : `running, ${job.progress} %`;
}

// A link that narrows the list of jobs.
function counted(text, filter) {
  const link = element("a");
  return shows(link, (item) => {
    put(link, count(text(item)));
    link.classList.toggle("zero", text(item) === 0);
    link.href = address({ ...filter(item) });
  });
}

function queueRow(queue) {
  const name = element("span");
  const pause = button("Pause", () => {
    const what = pause.dataset.does;
    act(() => call("POST", `queues/${encodeURIComponent(queue.name)}/${what}`), `The queue ${queue.name} is ${what}d.`);
  });
  const state = (state) => ({ name }) => ({ state, queue: name });
  return row([
    shows(name, (one) => put(name, one.paused_at ? `${one.name} (paused)` : one.name)),
    counted((one) => one.due, state("waiting")),
    counted((one) => one.scheduled, state("waiting")),
    counted((one) => one.running, state("running")),
    counted((one) => one.failed, state("failed")),
    (one) => (one.oldest_due_at ? since(one.oldest_due_at) : "–"),
    (one) => count(one.last_hour.succeeded),
    (one) => count(one.last_hour.failed),
    (one) => count(one.last_hour.cancelled),
    (one) => pair(one.last_hour.wait_p50_ms, one.last_hour.wait_p95_ms),
    (one) => pair(one.last_hour.run_p50_ms, one.last_hour.run_p95_ms),
    shows(pause, (one) => {
      pause.dataset.does = one.paused_at ? "resume" : "pause";
      put(pause, one.paused_at ? "Resume" : "Pause");
      pause.setAttribute("aria-label", `${pause.textContent} ${one.name}`);
      pause.hidden = !one.is_known;
    }),
  ], ["", ..."number ".repeat(10).trim().split(" "), "button"]);
}

function workerRow() {
  const state = element("span");
  return row([
    (one) => `${one.host}, ${one.pid}`,
    shows(state, (one) => {
      put(state, one.is_silent ? "silent" : "alive");
      state.className = `state ${one.is_silent ? "failed" : "succeeded"}`;
    }),
    (one) => `${one.busy} of ${one.slots}`,
    (one) => ago(one.heartbeat_at),
    (one) => ago(one.started_at),
  ], ["", "", "number", "number", "number"]);
}

function scheduleRow(schedule) {
  const path = `schedules/${encodeURIComponent(schedule.name)}`;
  const lastJob = element("a");
  const run = button("Run now", () => act(() => call("POST", `${path}/run`), `${schedule.name} runs now.`));
  run.setAttribute("aria-label", `Run ${schedule.name} now`);
  const toggle = button("Turn off", () => {
    const enabled = toggle.dataset.enabled === "false";
    act(() => call("PATCH", path, { enabled }), `${schedule.name} is ${enabled ? "on" : "off"}.`);
  });
  return row([
    (one) => one.name,
    (one) => `${one.cron} ${one.time_zone}`,
    (one) => (one.enabled ? until(one.next_tick_at) : "off"),
    shows(lastJob, (one) => {
      put(lastJob, one.last_job_id ? ago(madeAt(one.last_job_id)) : "–");
      if (one.last_job_id) lastJob.href = `#${one.last_job_id}`;
      else lastJob.removeAttribute("href");
    }),
    shows(element("span", { className: "buttons" }, run, toggle), (one) => {
      toggle.dataset.enabled = one.enabled;
      put(toggle, one.enabled ? "Turn off" : "Turn on");
      toggle.setAttribute("aria-label", `${toggle.textContent} ${one.name}`);
    }),
  ], ["", "", "number", "number", "button"]);
}

function jobRow() {
  const [link, id, state] = [element("a"), element("code"), element("span")];
  return row([
    shows(element("span", { className: "job" }, link, id), (job) => {
      put(link, job.kind);
      put(id, last(job.id));
      link.href = `#${job.id}`;
    }),
    shows(state, (job) => {
      put(state, stateOf(job));
      state.className = `state ${job.state}`;
    }),
    when,
    (job) => `${job.attempts} of ${job.max_attempts}`,
    (job) => job.queue,
    (job) => job.last_error ?? "",
  ], ["", "", "", "number", "", "error"]);
}

function showQueues({ queues, throughput, workers }) {
  fillTable("queues", queues, (one) => one.name, queueRow, "There are no queues.");
  fillTable("workers", workers, (one) => one.id, workerRow, "No worker runs: nothing is done.");
  showThroughput(throughput);
  showQueueNames(queues.map((one) => one.name));
}

let queueNames = [];

// To choose from; what is chosen is among them in any case.
function showQueueNames(names = queueNames) {
  queueNames = names;
  const all = new Set(["", ...names, view.get("queue") ?? ""]);
  fill(find("#filter [name=queue]"), [...all], (name) => name, (name) => shows(new Option(name || "Any", name), () => {}));
}

function showJobs({ items, total, current_page, last_page }) {
  fillTable("jobs", items, (job) => job.id, jobRow, "No jobs fit.");
  put(find("#place"), `Page ${count(current_page)} of ${count(last_page)}, ${count(total)} ${total === 1 ? "job" : "jobs"}`);
  find("#previous").disabled = current_page <= 1;
  find("#next").disabled = current_page >= last_page;
}

// ---- One job ----

const opened = () => location.hash.slice(1);

function showJob(job) {
  put(find("#job-title"), job.kind);
  const facts = [
    ["State", stateOf(job)], ["Id", job.id], ["Queue", `${job.queue}, ${job.priority} priority`],
    ["Tries", `${job.attempts} of ${job.max_attempts}`], ["Crashes", job.crashes],
    ["Asked for", moment(job.created_at)], ["Due", moment(job.run_at)], ["Started", moment(job.started_at)], ["Ended", moment(job.finished_at)],
    ["By", job.user_id ? `user ${job.user_id}` : job.admin_id ? `staff ${job.admin_id}` : "the program"],
    ["Request", job.request_id], ["Worker", job.worker_id ?? "–"],
  ];
  fill(find("dl", dialog), facts, ([name]) => name, ([name]) => {
    const place = element("dd");
    return shows(element("div", {}, element("dt", { textContent: name }), place), ([, value]) => put(place, value));
  });
  find("progress", dialog).value = job.progress;
  put(find(".progress span", dialog), `${job.progress} % ${job.message ?? ""}`);
  put(find("#payload"), JSON.stringify(job.payload, null, 2));
  put(find("#result"), job.result === undefined ? "–" : JSON.stringify(job.result, null, 2));
  fill(find("#tries"), job.failed_tries, (one) => `${one.attempt} ${one.ended_at}`, (one) => shows(
    element("li", {}, element("p", { textContent: `Try ${one.attempt} ${one.outcome.replace("_", " ")}, ${moment(one.ended_at)}` }), element("pre", { textContent: one.error ?? "–" })),
    () => {},
  ));
  const can = {
    retry: ["waiting", "failed", "cancelled"].includes(job.state),
    cancel: job.state === "waiting" || (job.state === "running" && !job.cancel_requested),
    discard: job.state !== "running",
  };
  for (const [action, possible] of Object.entries(can)) {
    const one = find(`[data-action=${action}]`, dialog);
    if (!possible && document.activeElement === one) find("[data-action=close]", dialog).focus();
    one.disabled = !possible;
  }
  if (!dialog.open) {
    put(find(".outcome", dialog), "");
    dialog.showModal();
  }
}

function close() {
  history.replaceState(null, "", location.pathname + location.search);
  if (dialog.open) dialog.close();
}

const jobActions = {
  close,
  retry: () => act(() => call("POST", `jobs/${opened()}/retry`), "It is tried again."),
  cancel: () => act(() => call("POST", `jobs/${opened()}/cancel`), "It is cancelled, or asked to end."),
  async discard() {
    const id = opened();
    if (!(await isSure("Discard this job? Nothing of it is kept."))) return;
    await act(async () => {
      await call("DELETE", `jobs/${id}`);
      close();
    }, "The job is discarded.");
  },
};

// ---- What people do ----

let hiding;

function tell(text, isFault = false) {
  const place = find(".outcome", dialog.open ? dialog : document);
  place.classList.toggle("fault", isFault);
  place.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => put(place, ""), 10_000);
}

async function act(work, done) {
  try {
    await work();
    tell(done);
  } catch (error) {
    tell(error instanceof Refused ? error.message : "The server can't be reached. Nothing was done.", true);
  }
  await refresh();
}

function isSure(question) {
  const asking = find("#sure");
  put(find("#question"), question);
  asking.returnValue = "no";
  asking.showModal();
  return new Promise((resolve) => asking.addEventListener("close", () => resolve(asking.returnValue === "yes"), { once: true }));
}

// The address of a list of jobs.
function address(filter) {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
  return `${location.pathname}${query.size > 0 ? `?${query}` : ""}`;
}

function look(filter) {
  history.replaceState(null, "", address(filter));
  for (const name of [...view.keys()]) view.delete(name);
  new URLSearchParams(location.search).forEach((value, name) => view.set(name, value));
  showFilter();
  return refresh();
}

const FILTERS = ["state", "queue", "kind", "q"];
const filters = () => Object.fromEntries(FILTERS.map((name) => [name, view.get(name) ?? ""]));

function showFilter() {
  showQueueNames();
  const form = find("#filter");
  for (const name of FILTERS) form.elements[name].value = view.get(name) ?? "";
}

const page = () => Math.max(1, Number.parseInt(view.get("page") ?? "1", 10) || 1);

find("#filter").addEventListener("submit", (event) => {
  event.preventDefault();
  look(Object.fromEntries([...new FormData(event.target)].map(([name, text]) => [name, text.trim()])));
});
find("#filter").addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement) event.currentTarget.requestSubmit();
});
find("#previous").addEventListener("click", () => look({ ...filters(), page: page() - 1 }));
find("#next").addEventListener("click", () => look({ ...filters(), page: page() + 1 }));
find("#retry-failed").addEventListener("click", async () => {
  const { queue, kind } = filters();
  const which = [queue && `of the queue ${queue}`, kind && `of the kind ${kind}`].filter(Boolean).join(" and ") || "of all queues";
  if (!(await isSure(`Retry the jobs ${which} that have failed?`))) return;
  let retried;
  await act(async () => {
    ({ retried } = await call("POST", "jobs/retry-failed", { queue: queue || null, kind: kind || null }));
  }, "");
  if (retried !== undefined) tell(`${count(retried)} ${retried === 1 ? "job is" : "jobs are"} tried again.`);
});
find("#queues").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  look(Object.fromEntries(new URL(link.href).searchParams));
  find("#jobs-title").scrollIntoView();
});
dialog.addEventListener("click", (event) => jobActions[event.target.dataset?.action]?.());
dialog.addEventListener("close", close);
addEventListener("hashchange", () => refresh());

// ---- Again and again ----

let asked = 0;
let fresh = null;

async function refresh() {
  asked += 1;
  const turn = asked;
  const query = new URLSearchParams({ ...Object.fromEntries(Object.entries(filters()).filter(([, value]) => value)), page: page(), per_page: PER_PAGE });
  const id = opened();
  try {
    const [queues, { schedules }, jobs, job] = await Promise.all([
      call("GET", "queues"),
      call("GET", "schedules"),
      call("GET", `jobs?${query}`),
      id && call("GET", `jobs/${encodeURIComponent(id)}`).catch((error) => (error.status === 404 ? null : Promise.reject(error))),
    ]);
    // Somebody has done something meanwhile, and a younger answer is on its way.
    if (turn !== asked) return;
    fresh = new Date();
    showQueues(queues);
    fillTable("schedules", schedules, (one) => one.name, scheduleRow, "Nothing recurs.");
    showJobs(jobs);
    if (job) showJob(job);
    else if (id) {
      close();
      tell("There is no such job any more.", true);
    } else if (dialog.open) dialog.close();
    showFreshness(`Updated ${fresh.toLocaleTimeString("en-GB")}`);
  } catch (error) {
    if (turn === asked) showFault(error);
  }
}

// What is told each time isn't read out; only a change for the worse is, and for the better.
function showFreshness(text, isFault = false) {
  const place = find("#freshness");
  if (place.classList.toggle("fault", isFault)) place.setAttribute("role", "alert");
  else if (place.hasAttribute("role")) {
    place.removeAttribute("role");
    tell("The connection is back.");
  }
  put(place, text);
}

function showFault(error) {
  if (error.status === 401) {
    const back = new URLSearchParams({ return_to: location.pathname + location.search });
    showFreshness("You are signed out. ", true);
    find("#freshness").append(element("a", { href: `/backoffice/sign-in?${back}`, textContent: "Sign in" }));
    return;
  }
  const why = error instanceof Refused ? error.message : "The connection is lost.";
  const asOf = fresh ? ` This is how it was at ${fresh.toLocaleTimeString("en-GB")}.` : "";
  showFreshness(`${why}${asOf}`, true);
}

const visible = () => new Promise((resolve) => {
  if (!document.hidden) return resolve();
  document.addEventListener("visibilitychange", () => resolve(visible()), { once: true });
});
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

showFilter();
for (;;) {
  await visible();
  await refresh();
  await pause();
}
