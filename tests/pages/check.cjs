// Walks through every page in a real Chromium, as people do, and takes pictures. Fails when a page
// asks another machine for anything, breaks its policy, complains on the console, or doesn't work.
// Started by .ci/pages, which prepares the server: node check.cjs ADDRESS PASSWORD PICTURES
const assert = require("node:assert/strict");
const path = require("node:path");
const { chromium } = require("playwright-core");

const jobs = require("./jobs.cjs");

const [address, password, pictures] = process.argv.slice(2);
const admin = "admin@example.com";
const user = { email: "ada@example.com", password: "correct horse battery" };

async function main() {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(30_000);
    const faults = watch(context);
    const page = await context.newPage();
    const step = async (name, work) => {
      try {
        await work(page);
      } catch (error) {
        await shoot(page, "failure");
        throw error;
      }
      assert.deepEqual(faults.splice(0), [], name);
      console.log(`ok  ${name}`);
    };
    const all = [...steps, ...jobs({ open, shoot, faults }), ...lastSteps];
    for (const [name, work] of all) await step(name, work);
    await fromElsewhere(browser);
    console.log(`${all.length + 1} passed, 0 failed`);
  } finally {
    await browser.close();
  }
}

// What no page may do, as it happens.
function watch(context) {
  const faults = [];
  context.on("request", (request) => {
    const url = request.url();
    const isOwn = url.startsWith(`${address}/`) || url.startsWith("data:") || url.startsWith(`blob:${address}/`);
    if (!isOwn) faults.push(`asked for ${url}`);
  });
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => faults.push(String(error.error())));
  return faults;
}

const steps = [
  ["navigation", async (page) => {
    await open(page, "/");
    await shoot(page, "navigation");
  }],
  ["a registration, and its mail in the outbox", async (page) => {
    await post("/api/v1/auth/register", user);
    const mail = page.locator("tbody a");
    // The mail is written after the answer.
    for (let tries = 0; tries < 100 && (await mail.count()) === 0; tries += 1) await open(page, "/outbox");
    await shoot(page, "outbox");
    await mail.first().click();
    const [, code] = (await page.locator("pre").textContent()).match(/your code is: (\d{6})/);
    await shoot(page, "outbox-mail");
    await page.getByText("As HTML").click();
    await page.getByText(code).waitFor();
    await shoot(page, "outbox-mail-html");
    await post("/api/v1/auth/verify-email", { email: user.email, password: user.password, code });
  }],
  ["the backoffice leads to the sign-in", async (page) => {
    await open(page, "/backoffice/redoc");
    assert.equal(new URL(page.url()).pathname, "/backoffice/sign-in");
    await shoot(page, "sign-in");
  }],
  ["signing in leads back", async (page) => {
    await signIn(page, password);
    await page.waitForURL("**/backoffice/redoc");
    const cookies = await page.context().cookies();
    // The session, and what tells this browser the next time.
    assert.deepEqual(cookies.map(({ name }) => name).sort(), ["__Host-twofold-device", "__Host-twofold-staff"]);
    for (const { path, secure, httpOnly, sameSite, domain } of cookies) {
      assert.deepEqual(
        { path, secure, httpOnly, sameSite, domain },
        { path: "/", secure: true, httpOnly: true, sameSite: "Strict", domain: new URL(address).hostname },
      );
    }
    assert.equal(await page.evaluate("document.cookie"), "");
  }],
  ["backoffice: ReDoc", (page) => redoc(page, "backoffice", "suspend", "Suspend a user")],
  ["backoffice: Swagger UI", async (page) => {
    const credentials = { email: admin, password };
    const { access_token } = await post("/api/v1/backoffice/auth/login", credentials);
    await swaggerUi(page, "backoffice", access_token, ["get_current_admin", "list_users"], "login_admin", credentials);
  }],
  ["client: ReDoc", (page) => redoc(page, "client", "register", "Register")],
  ["client: Swagger UI", async (page) => {
    const { access_token } = await post("/api/v1/auth/login", user);
    await swaggerUi(page, "client", access_token, ["get_current_user"], "login_user", user);
  }],
];

const lastSteps = [
  ["signing out", async (page) => {
    await open(page, "/backoffice/sign-in");
    await page.getByText(`signed in as ${admin}`).waitFor();
    await shoot(page, "signed-in");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Password").waitFor();
    const left = (await page.context().cookies()).map(({ name }) => name);
    assert.deepEqual(left, ["__Host-twofold-device"]);
    await open(page, "/backoffice/docs");
    assert.equal(new URL(page.url()).pathname, "/backoffice/sign-in");
  }],
];

async function open(page, path) {
  const answer = await page.goto(address + path, { waitUntil: "networkidle" });
  assert.equal(answer.status(), 200, path);
}

async function shoot(page, name, options = {}) {
  await page.screenshot({ path: path.join(pictures, `${name}.png`), ...options });
}

async function signIn(page, secret) {
  await page.getByLabel("Address").fill(admin);
  await page.getByLabel("Password").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
}

// Beside the browser, as an app would.
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(address + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, path);
  return (await answer.json()).data;
}

async function redoc(page, surface, word, found) {
  await open(page, `/${surface}/redoc`);
  await page.getByRole("heading", { level: 1 }).first().waitFor();
  await shoot(page, `${surface}-redoc`);
  // Its search runs in a worker.
  await page.getByPlaceholder("Search...").fill(word);
  await page.locator('[data-role="search:results"]').getByText(found).first().waitFor();
  await shoot(page, `${surface}-redoc-search`);
}

async function swaggerUi(page, surface, token, gets, postId, body) {
  await open(page, `/${surface}/docs`);
  await page.locator(".opblock").first().waitFor();
  await shoot(page, `${surface}-docs`);
  await page.locator(".btn.authorize").first().click();
  await page.locator(".modal-ux input").fill(token);
  await page.locator(".modal-ux .btn.authorize").click();
  await shoot(page, `${surface}-docs-authorized`);
  await page.locator(".modal-ux .btn-done").click();
  for (const get of gets) await tryOut(page, get);
  await tryOut(page, postId, body);
  await shoot(page, `${surface}-docs-tried`);
}

// Fills in the body, if it has one, and executes: the answer has to be 200.
async function tryOut(page, operation, body) {
  const block = page.locator(`[id$="-${operation}"]`);
  await block.locator(".opblock-summary-control").click();
  await block.locator(".try-out__btn").click();
  if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.locator(".execute").click();
  const status = block.locator(".live-responses-table .response .response-col_status");
  await status.waitFor();
  assert.equal((await status.textContent()).trim(), "200", operation);
}

// A form of another site signs nobody in, and a wrong password says so.
async function fromElsewhere(browser) {
  const page = await browser.newPage();
  await page.setContent(`<form method="post" action="${address}/backoffice/sign-in">
    <input name="email" value="${admin}"><input name="password" value="${password}"><button>Go</button></form>`);
  const [answer] = await Promise.all([page.waitForNavigation(), page.click("button")]);
  assert.equal(answer.status(), 403);
  await page.goto(`${address}/backoffice/sign-in`);
  await signIn(page, "not the password");
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("Address").inputValue(), admin);
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  assert.deepEqual(await page.context().cookies(), []);
  await shoot(page, "sign-in-refused");
  console.log("ok  forms of other sites and wrong passwords are refused");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
