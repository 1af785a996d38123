// Drives the page of `imgflow ui` as its user does. Arguments: the address, the template that
// fails and is to be mended, the directory of playwright-core and axe-core, and one for pictures, if any.
import { readFileSync, writeFileSync } from "fs";
import { createServer } from "http";
import { pathToFileURL } from "url";

const [, , url, template, modules, chromiumPath, pictures] = process.argv;
const { chromium } = await import(pathToFileURL(modules + "/playwright-core/index.mjs").href);
const axe = readFileSync(modules + "/axe-core/axe.min.js", "utf8");
const origin = new URL(url).origin;
const fail = why => { console.error("FAULT: " + why); process.exitCode = 1; };
const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });

// Whoever has no token sees nothing.
const stranger = await (await browser.newContext()).newPage();
const answer = await stranger.goto(origin + "/");
if (answer.status() !== 403) fail("without the token the answer is " + answer.status());

const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
page.setDefaultTimeout(60000);
page.on("console", m => { if (m.type() === "error" || m.type() === "warning") fail("console: " + m.text()); });
page.on("pageerror", e => fail("script: " + e.message));

const readable = async what => {
  await page.evaluate(axe);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    const found = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] }));
    for (const v of found.violations) fail(`${what}, ${scheme}: ${v.id}: ${v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join("\n")}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
};
const picture = async (name, schemes = ["light", "dark"]) => {
  if (!pictures) return;
  await page.evaluate(() => document.querySelectorAll("dd.path").forEach(e => { e.textContent = e.textContent.replace(/.*[/]/, ""); })); // a picture is of no computer
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [size, width, height] of [["desktop", 1280, 900], ["phone", 390, 844]]) {
      await page.setViewportSize({ width, height });
      await page.evaluate(() => scrollTo(0, 0));
      await page.waitForTimeout(300);
      await page.screenshot({ path: `${pictures}/${name}-${scheme}-${size}.png` });
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
};
const status = s => page.locator("h1 .pill." + s).waitFor();

// A run of another process appears and moves.
await page.goto(url);
if (page.url() !== origin + "/") fail("the token stays in the address " + page.url());
await page.locator("tbody .pill.running").waitFor();
await page.keyboard.press("j");
if (!(await page.evaluate(() => document.activeElement.matches("[data-row]")))) fail("j leads to no run");
await page.keyboard.press("/");
await page.keyboard.type("nothing like it");
if (await page.locator("tbody tr").first().isVisible()) fail("the search hides nothing");
await page.keyboard.press("ControlOrMeta+a");
await page.keyboard.press("Delete");
await page.keyboard.press("Escape");
await readable("the runs");
await page.locator("tbody a").first().click();
await status("running");
const run = page.url();
await page.getByRole("link", { name: "Log", exact: true }).click();
await page.getByText("line 2", { exact: true }).waitFor();
await page.getByText("line 9", { exact: true }).waitFor(); // that comes while it is open
await readable("the log");
await page.goto(run);
await status("suspended"); // nobody has loaded it again
await page.getByRole("heading", { name: "What failed" }).waitFor();
await page.getByText("it is broken <b>here</b>").first().waitFor();
await readable("the run");
await picture("ui");
await page.getByRole("link", { name: "Report" }).click();
await page.getByRole("heading", { name: "What failed" }).waitFor();
await readable("the report");
await picture("report");
await page.goto(run + "/log");
await page.getByText("it is broken").first().waitFor();
await picture("log", ["light"]);

// A page of another origin cannot make the browser do it, though it has the cookie.
const other = createServer((_, res) => res.setHeader("Content-Type", "text/html").end(`<form method="post" action="${run}/resume"><button>go</button></form>`));
await new Promise(r => other.listen(0, "127.0.0.1", r));
const foreign = await context.newPage();
await foreign.goto(`http://127.0.0.1:${other.address().port}/`);
const refused = foreign.waitForResponse(r => r.url().endsWith("/resume"));
await foreign.click("button");
if ((await refused).status() !== 403) fail("a page of another origin got " + (await refused).status());
await foreign.close();
other.close();

// A page that is opened behind others asks for no stream until it is seen.
const behind = await context.newPage();
const asked = [];
behind.on("request", r => { if (r.url().endsWith("/stream")) asked.push(r.url()); });
await behind.addInitScript(() => { window.behind = true; Object.defineProperty(document, "hidden", { get: () => window.behind }); });
await behind.goto(run);
await behind.waitForTimeout(1000);
if (asked.length) fail("a page that nobody sees has asked for its stream");
await behind.evaluate(() => { window.behind = false; document.dispatchEvent(new Event("visibilitychange")); });

// Mended, and resumed by a button, it comes to its end before our eyes, in more pages than a browser has connections.
const pages = [behind];
while (pages.length < 10) {
  pages.push(await context.newPage());
  await pages.at(-1).goto(run);
}
for (const [i, p] of pages.entries()) if (await p.evaluate(() => document.hidden)) fail(`page ${i} is hidden`);
writeFileSync(template, readFileSync(template, "utf8").replace("exit 3", "exit 0"));
await page.goto(run);
await page.getByRole("button", { name: "Resume", exact: true }).click();
await status("done");
const done = Date.now();
for (const p of pages) await p.locator("h1 .pill.done").waitFor({ timeout: 60000 });
console.log(`the last of ${pages.length} pages has seen it ${Date.now() - done} ms later`);
if (!asked.length) fail("the page that was behind others has asked for no stream");
for (const p of pages) await p.close();
await page.getByRole("heading", { name: "What it made" }).waitFor();

// Destroy shows what it would remove, and does it when that is agreed to.
await page.getByRole("button", { name: "Destroy with images…" }).click();
await page.getByText(/ami-[0-9a-f]+/).first().waitFor();
await readable("the question");
await page.getByRole("button", { name: "Remove it" }).click();
await status("destroyed");
await page.goto(origin + "/orphans");
await readable("the orphans");
await browser.close();
console.log("driven");
