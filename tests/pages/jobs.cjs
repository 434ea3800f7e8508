// The page of the jobs, as check.cjs walks through it. Jobs that only time would bring are put into the
// database; all else is what the program does.
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");

const PAUSE = 2000; // between two refreshes of the page
const WORKER = "01975b2e-7c40-7000-8000-000000000001"; // of the samples; never taken for dead
const HOSTILE = "<img src=x onerror=alert(1)>";

function sql(text) {
  const url = process.env.TWOFOLD_PAGES_DATABASE;
  execFileSync("psql", [url, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", text]);
}

// Of a queue that nobody works on: five that wait, one that runs, 47 that have ended. Their identifiers begin with the
// time, as others do.
const SAMPLES = `
  INSERT INTO jobs (id, queue, kind, payload, priority, state, run_at, attempts, max_attempts, lease, crashes,
    is_suspect, cancel_requested, progress, message, result, last_error, request_id, worker_id, started_at,
    finished_at, created_at, updated_at)
  SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3)
    FROM 1), 'hex')::uuid, 'reports', 'report.render', jsonb_build_object('month', n, 'api_token', 'hidden'), 1,
    state, at, 1 + n % 3, 12, 1, 0, false, false, CASE state WHEN 'succeeded' THEN 100 WHEN 'running' THEN 40 ELSE 0 END,
    CASE state WHEN 'running' THEN 'page 4 of 10' END, CASE state WHEN 'succeeded' THEN '{"pages": 10}'::jsonb END,
    CASE state WHEN 'failed' THEN 'the printer refused the connection: ${HOSTILE}' END, 'sample', '${WORKER}',
    CASE WHEN state <> 'waiting' THEN at + n * interval '7 ms' END,
    CASE WHEN state IN ('succeeded', 'failed') THEN at + n * n * interval '19 ms' END, at, at
  FROM (SELECT n, now() - n * n * interval '1.4 s' AS at,
      CASE WHEN n <= 5 THEN 'waiting' WHEN n = 6 THEN 'running' WHEN n % 7 = 0 THEN 'failed' ELSE 'succeeded' END AS state
    FROM generate_series(1, 53) AS n) AS samples;
  INSERT INTO job_attempts (job_id, lease, attempt, outcome, error, started_at, created_at, updated_at)
  SELECT id, 1, attempts, 'failed', last_error, started_at, finished_at, finished_at FROM jobs WHERE state = 'failed';
  INSERT INTO job_workers VALUES ('${WORKER}', 'report-1', 4711, 5, 1, now() + interval '1 h', now() - interval '3 d', now());`;

const row = (page, table, name) => page.locator(`#${table} tbody tr`).filter({ hasText: name }).first();
const dialog = (page) => page.locator("dialog#job");
const say = (page, text) => page.locator(".outcome", { hasText: text }).waitFor();
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

async function until(page, read, expected) {
  let found;
  for (let tries = 0; tries < 200; tries += 1) {
    found = await read();
    if (found === expected) return;
    await page.waitForTimeout(50);
  }
  assert.equal(found, expected);
}

// The steps; `open` and `shoot` are those of check.cjs, `faults` what the page has done wrong.
module.exports = ({ open, shoot, faults }) => [
  ["jobs: the navigation leads there, and everything is counted", async (page) => {
    await open(page, "/");
    await page.getByRole("link", { name: "Jobs" }).click();
    await page.waitForURL("**/backoffice/jobs");
    await row(page, "workers", "alive").waitFor();
    assert.equal(await page.locator("#schedules tbody tr").count() >= 4, true);
    sql(SAMPLES);
    const cells = row(page, "queues", "reports").locator("td");
    await until(page, () => cells.nth(3).textContent(), "7");
    const counts = (await cells.allTextContents()).slice(0, 8);
    assert.deepEqual([counts[0], counts[1], counts[2], counts[6]], ["5", "0", "1", "7"]);
    await page.getByText(/done, .* failed or cancelled within the last hour; at most \d+ in a minute/).waitFor();
    // Nobody here works on it.
    assert.equal(await row(page, "queues", "reports").getByRole("button").count(), 0);
    assert.equal(await page.locator("img").count(), 0);
  }],
  ["jobs: pictures", async (page) => {
    await page.goto(`${page.url()}?state=failed&queue=reports`);
    await page.locator("#jobs .state.failed").first().waitFor();
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, width] of [["wide", 1280], ["narrow", 360]]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const inner = await page.evaluate("document.documentElement.scrollWidth");
        assert.equal(inner <= width, true, `${inner} is wider than ${width}`);
        await shoot(page, `jobs-${colorScheme}-${name}`, { fullPage: true });
        await page.locator("#jobs tbody a").first().click();
        await dialog(page).waitFor();
        await shoot(page, `job-${colorScheme}-${name}`);
        await page.keyboard.press("Escape");
      }
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize({ width: 1280, height: 900 });
  }],
  ["jobs: a refresh moves nothing", async (page) => {
    await page.locator("#jobs").scrollIntoViewIfNeeded();
    const before = await page.evaluate("scrollY");
    const shifted = await page.evaluate((time) => new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => { sum += entry.value; })).observe({ type: "layout-shift" });
      setTimeout(() => resolve(sum), time);
    }), PAUSE * 3);
    assert.equal(shifted < 0.005, true, `shifted by ${shifted}`);
    assert.equal(await page.evaluate("scrollY"), before);
  }],
  ["jobs: lists are filtered, searched and turned over", async (page) => {
    await page.goto(page.url().split("?")[0]);
    await row(page, "queues", "reports").getByRole("link").nth(3).click();
    await until(page, () => page.locator("#jobs tbody tr").count(), 7);
    assert.equal(new URL(page.url()).search, "?state=failed&queue=reports");
    assert.equal(await page.locator("#filter [name=state]").inputValue(), "failed");
    assert.equal(await page.locator("#filter [name=queue]").inputValue(), "reports");
    await page.locator("#filter [name=state]").selectOption("");
    await page.getByText("Page 1 of 3, 53 jobs").waitFor();
    await press(page, "Next");
    await page.getByText("Page 2 of 3, 53 jobs").waitFor();
    await press(page, "Previous");
    await page.getByText("Page 1 of 3, 53 jobs").waitFor();
    await page.locator("#jobs tbody a").first().click();
    const id = new URL(page.url()).hash.slice(1);
    await press(page, "Close");
    await page.locator("#filter [name=q]").fill(id);
    await press(page, "Show");
    await page.getByText("Page 1 of 1, 1 job").waitFor();
    await page.locator("#filter [name=q]").fill("");
    await page.locator("#filter [name=kind]").fill("of no kind");
    await press(page, "Show");
    await page.getByText("No jobs fit.").waitFor();
    await page.goto(page.url().split("?")[0]);
  }],
  ["jobs: one that fails is seen with its error, and retried", async (page) => {
    sql("ALTER TABLE idempotency_keys RENAME TO hidden");
    await press(page, "Run idempotency_keys now");
    await say(page, "idempotency_keys runs now");
    const failing = row(page, "jobs", "does not exist");
    await failing.waitFor();
    await failing.getByRole("link").click();
    await dialog(page).getByText("Try 1 failed").waitFor();
    assert.match(await page.locator("#tries pre").first().textContent(), /"idempotency_keys" does not exist/);
    assert.match(await page.locator("#payload").textContent(), /idempotency_keys/);
    sql("ALTER TABLE hidden RENAME TO idempotency_keys");
    await press(page, "Retry");
    await until(page, () => dialog(page).locator("dd").first().textContent(), "succeeded");
    assert.equal(await page.getByRole("button", { name: "Retry", exact: true }).isDisabled(), true);
    await shoot(page, "job-succeeded");
    await press(page, "Close");
  }],
  ["jobs: a queue is paused, its job cancelled and discarded", async (page) => {
    await press(page, "Pause maintenance");
    await say(page, "The queue maintenance is paused");
    await press(page, "Run tokens now");
    await say(page, "tokens runs now");
    await row(page, "jobs", /waiting.*maintenance/).getByRole("link").click();
    await dialog(page).waitFor();
    await press(page, "Cancel");
    await until(page, () => dialog(page).locator("dd").first().textContent(), "cancelled");
    await press(page, "Discard…");
    await shoot(page, "job-discard");
    await press(page, "No");
    assert.equal(await dialog(page).isVisible(), true);
    await press(page, "Discard…");
    await press(page, "Yes");
    await say(page, "The job is discarded");
    assert.equal(await dialog(page).isVisible(), false);
    await until(page, () => page.locator("#jobs .state.cancelled").count(), 0);
    await press(page, "Resume maintenance");
    await say(page, "The queue maintenance is resumed");
  }],
  ["jobs: a schedule is turned off and on", async (page) => {
    await press(page, "Turn off sessions");
    await row(page, "schedules", "sessions").getByRole("cell", { name: "off", exact: true }).waitFor();
    await press(page, "Turn on sessions");
    await row(page, "schedules", "sessions").getByText(/^in \d+/).waitFor();
  }],
  ["jobs: those that failed are retried at once", async (page) => {
    await page.locator("#filter [name=queue]").selectOption("reports");
    await page.getByText("Page 1 of 3, 53 jobs").waitFor();
    await press(page, "Retry failed ones…");
    await page.getByText("Retry the jobs of the queue reports that have failed?").waitFor();
    await press(page, "Yes");
    await say(page, "7 jobs are tried again");
    await until(page, () => row(page, "queues", "reports").locator("td").nth(3).textContent(), "0");
  }],
  ["jobs: by keyboard alone", async (page) => {
    const focused = (script) => page.evaluate(`(({ activeElement: focused }) => ${script})(document)`);
    const tabTo = async (isThere) => {
      for (let tries = 0; tries < 60; tries += 1) {
        await page.keyboard.press("Tab");
        if (await focused(isThere)) return;
      }
      assert.fail(`never came to ${isThere}`);
    };
    await page.goto(page.url().split("?")[0]);
    await row(page, "queues", "maintenance").waitFor();
    await tabTo('focused.ariaLabel === "Pause maintenance"');
    assert.equal(await focused("getComputedStyle(focused).outlineStyle"), "solid");
    await page.keyboard.press("Enter");
    await say(page, "The queue maintenance is paused");
    await page.waitForTimeout(PAUSE * 1.5);
    assert.equal(await focused("focused.ariaLabel"), "Resume maintenance");
    await page.keyboard.press("Space");
    await say(page, "The queue maintenance is resumed");
    await tabTo('focused.matches("#jobs a")');
    const link = await focused("focused.href");
    await page.keyboard.press("Enter");
    await dialog(page).waitFor();
    await page.waitForTimeout(PAUSE * 1.5);
    assert.equal(await focused('focused.closest("dialog") !== null'), true);
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "hidden" });
    assert.equal(await focused("focused.href"), link);
  }],
  ["jobs: nothing is asked for while nobody looks", async (page) => {
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await hide(true);
    await page.waitForTimeout(PAUSE);
    let asked = 0;
    const note = () => { asked += 1; };
    page.on("request", note);
    await page.waitForTimeout(PAUSE * 2);
    assert.equal(asked, 0);
    await hide(false);
    await page.waitForTimeout(PAUSE / 2);
    page.off("request", note);
    assert.equal(asked > 0, true);
  }],
  ["jobs: a lost connection and a lost session are told", async (page) => {
    const expected = (fault) => /ERR_INTERNET_DISCONNECTED|status of 401/.test(fault);
    await page.context().setOffline(true);
    await page.getByText(/The connection is lost. This is how it was at/).waitFor();
    await shoot(page, "jobs-offline");
    await page.context().setOffline(false);
    await say(page, "The connection is back");
    const cookies = await page.context().cookies();
    await page.context().clearCookies();
    await page.getByText("You are signed out.").waitFor();
    await page.getByRole("link", { name: "Sign in" }).click();
    await page.getByLabel("Password").waitFor();
    await page.context().addCookies(cookies);
    await page.goto(page.url());
    await page.getByRole("link", { name: "Go on" }).click();
    await page.waitForURL("**/backoffice/jobs");
    const others = faults.splice(0).filter((fault) => !expected(fault));
    faults.push(...others);
  }],
];
