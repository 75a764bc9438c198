// @ts-check

/** @typedef {import("../../control/status-json.ts").DirectoryStatus} DirectoryStatus */
/** @typedef {import("../../control/status-json.ts").LiveRunJson} LiveRun */
/** @typedef {{ at: string, rows_per_second: number, bytes_per_second: number }} RatePoint */

const RETRY_MS = 2_000;
const HISTORY_MS = 30_000;
const CHART_WIDTH = 600;
const CHART_HEIGHT = 140;
const TOKEN = "clickhouse-backfill-token";
/** What the run takes for a token at all: nothing else can be sent. */
const A_TOKEN = /^[A-Za-z0-9\-._~+/]{16,}=*$/;

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @type {RatePoint[]} */
let points = [];
let isLive = true;
let generation = 0;

takeTokenFromAddress();
addEventListener("hashchange", () => {
  if (takeTokenFromAddress()) follow();
});
element("live").addEventListener("click", toggleLive);
element("ask").addEventListener("submit", useToken);
follow();
readHistory();

/**
 * Shows the run again and again: the server responds when there is an update.
 * @returns {Promise<void>}
 */
async function follow() {
  const mine = ++generation;
  let path = "/api/status";
  while (mine === generation && isLive) {
    try {
      const response = await request(path);
      if (mine !== generation) return;
      if (response.status === 401) {
        ask();
        return;
      }
      if (!response.ok) throw new Error(await response.text());
      show(/** @type {DirectoryStatus} */ (await response.json()));
      path = "/api/status?wait";
      if (hasEnded()) return;
    } catch (error) {
      if (mine !== generation) return;
      const words = "No response: the run has ended, or cannot be reached";
      state(`${words} (${messageOf(error)})`, "bad");
      say(words);
      path = "/api/status";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** @returns {Promise<void>} */
async function readHistory() {
  for (;;) {
    // Not while the token is asked for.
    if (isLive && !hasEnded() && !element("run").hidden) {
      // The next reading makes up for one that failed; the state says that nothing responds.
      const history = await request("/api/history")
        .then((response) => (response.ok ? response.json() : null))
        .catch(() => null);
      if (history !== null) {
        points = history.points;
        drawCharts();
      }
    }
    const delay = points.length < HISTORY_MS / 1000 ? RETRY_MS : HISTORY_MS;
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
function request(path) {
  const token = sessionStorage.getItem(TOKEN);
  return fetch(path, { headers: token === null ? {} : { authorization: `Bearer ${token}` } });
}

/** @returns {boolean} */
function hasEnded() {
  return document.body.dataset["ended"] === "true";
}

/**
 * A link may bring the token behind the #, which browsers send to nobody.
 * @returns {boolean} whether it did.
 */
function takeTokenFromAddress() {
  const token = /^#token=(.*)$/.exec(location.hash)?.[1];
  if (token === undefined) return false;
  history.replaceState(null, "", location.pathname);
  return keepToken(token);
}

/**
 * @param {string} token
 * @returns {boolean} whether it can be one.
 */
function keepToken(token) {
  if (A_TOKEN.test(token)) sessionStorage.setItem(TOKEN, token);
  return A_TOKEN.test(token);
}

function ask() {
  element("run").hidden = true;
  element("ask").hidden = false;
  element("refused").textContent =
    sessionStorage.getItem(TOKEN) === null ? "" : "The run does not take this token.";
  field("token").focus();
}

/** @param {Event} event */
function useToken(event) {
  event.preventDefault();
  if (keepToken(field("token").value.trim())) follow();
  else element("refused").textContent = "A token has at least 16 letters, digits or -._~+/.";
}

function toggleLive() {
  if (hasEnded()) return;
  isLive = !isLive;
  element("live").setAttribute("aria-pressed", String(isLive));
  // What is on its way is not shown any more.
  generation++;
  if (isLive) follow();
}

/** @param {DirectoryStatus} status */
function show(status) {
  const [run] = status.runs;
  if (run === undefined) return;
  element("ask").hidden = true;
  element("run").hidden = false;
  document.title = `${titleOf(run)} · clickhouse-backfill`;
  text("subject", `into ${run.database}.${run.target} at ${run.server}, engine ${run.engine}`);
  showState(run);
  showFigures(run);
  showPhases(run);
  showMonths(run, status.checkpoints);
  showErrors(run);
  text(
    "process",
    `Process ${run.pid} on ${run.host}, since ${timeOf(run.since)} · clickhouse-backfill ${run.version}`,
  );
}

/**
 * @param {LiveRun} run
 * @returns {string}
 */
function titleOf({ ended, done_percent: done }) {
  return ended === null ? `${done}%` : ended.outcome;
}

/** @param {LiveRun} run */
function showState({ ended, progress }) {
  document.body.dataset["ended"] = String(ended !== null);
  if (ended === null) {
    const { state: name, reason } = progress;
    state(reason, ["waiting", "paused"].includes(name) ? "bad" : "");
    say(name);
    return;
  }
  state(
    ended.outcome === "finished" ? ended.message : `${ended.outcome}: ${ended.message}`,
    ended.outcome === "finished" ? "good" : "bad",
  );
  say(`${ended.outcome}: ${ended.message}`);
  element("live").setAttribute("aria-disabled", "true");
}

/**
 * @param {string} words
 * @param {string} kind
 */
function state(words, kind) {
  element("run").hidden = false;
  text("state", words);
  element("state").dataset["kind"] = kind;
}

/**
 * Lets screen readers say what changed; the state in words counts seconds, which nobody wants to hear.
 * @param {string} words
 */
function say(words) {
  if (element("said").textContent !== words) text("said", words);
}

/** @param {LiveRun} run */
function showFigures({ progress, done_percent: done, memory_bytes: memory }) {
  const { eta_seconds: eta } = progress.months ?? progress;
  const { rows_per_second: rows, bytes_per_second: bytes } = progress;
  /** @type {[string, string][]} */
  const figures = [
    ["Observations done", `${done.toFixed(1)}%`],
    ["Left", eta === null ? "–" : duration(eta)],
    ["Rows/s, last 30 s", rows === null ? "–" : whole.format(rows)],
    ["MB/s, last 30 s", bytes === null ? "–" : megabytes(bytes)],
    ["Memory", `${whole.format(memory / 1e6)} MB`],
    ["Limit", progress.max_rate === null ? "none" : `${progress.max_rate}/s`],
  ];
  element("figures").replaceChildren(
    ...figures.map(([name, value]) => made("div", {}, made("dt", {}, name), made("dd", {}, value))),
  );
}

/** @param {LiveRun} run */
function showPhases({ phases, progress }) {
  const month = progress.month ?? phases.at(-1)?.month ?? null;
  text("month", month === null ? "" : `of ${month}`);
  const bars = phases
    .filter((phase) => phase.month === month)
    .map(({ phase, kept_rows: kept, total_rows: total }) => {
      const label = `${phase}: ${whole.format(kept)} of ${whole.format(total)} rows`;
      const bar = made("progress", { max: String(Math.max(total, 1)), "aria-label": label });
      bar.setAttribute("value", String(total === 0 ? 1 : kept));
      return made(
        "li",
        {},
        made("span", {}, phase),
        bar,
        made("span", { class: "count" }, `${whole.format(kept)} of ${whole.format(total)}`),
      );
    });
  element("phases").replaceChildren(...(bars.length > 0 ? bars : [made("li", {}, "None has begun.")]));
}

/**
 * @param {LiveRun} run
 * @param {DirectoryStatus["checkpoints"]} checkpoints
 */
function showMonths({ months, progress, phases, ended }, checkpoints) {
  /** @type {Map<string, [string, string, string]>} */
  const rows = new Map();
  for (const { month, phase, state: name, rows: count } of checkpoints) {
    // Of Langfuse v4 a month has several; the observations come last.
    if (month !== null && (phase === "observations" || !rows.has(month))) {
      rows.set(month, [name, count === null ? "–" : whole.format(count), "–"]);
    }
  }
  const keptOf = (/** @type {string} */ month) => {
    const kept = phases.find((phase) => phase.month === month && phase.phase === "observations");
    return kept === undefined ? (rows.get(month)?.[1] ?? "–") : whole.format(kept.kept_rows);
  };
  const list =
    progress.months?.list ??
    months.map((month) => ({ month, outcome: ended?.outcome ?? "running", seconds: 0 }));
  for (const { month, outcome, seconds } of list) {
    rows.set(month, [outcome, keptOf(month), seconds === 0 ? "–" : duration(seconds)]);
  }
  const newestFirst = [...rows].sort(([a], [b]) => b.localeCompare(a));
  element("months").replaceChildren(
    ...newestFirst.map(([month, cells]) =>
      made("tr", {}, made("th", { scope: "row" }, month), ...cells.map((cell) => made("td", {}, cell))),
    ),
  );
}

/** @param {LiveRun} run */
function showErrors({ errors, progress }) {
  const { retries } = progress;
  text("retries", `${whole.format(retries)} ${retries === 1 ? "retry" : "retries"} so far`);
  element("errors").replaceChildren(
    ...errors.map(({ at, message }) =>
      made("li", {}, made("time", { datetime: at }, timeOf(at)), made("span", {}, message)),
    ),
  );
}

function drawCharts() {
  draw(
    "rows",
    (point) => point.rows_per_second,
    (value) => `${whole.format(value)} rows/s`,
  );
  draw(
    "bytes",
    (point) => point.bytes_per_second,
    (value) => `${megabytes(value)} MB/s`,
  );
}

/**
 * @param {"rows" | "bytes"} name
 * @param {(point: RatePoint) => number} rateOf
 * @param {(value: number) => string} format
 */
function draw(name, rateOf, format) {
  const [first, last] = [points.at(0), points.at(-1)];
  if (first === undefined || last === undefined) return;
  const values = points.map(rateOf);
  const top = Math.max(...values, 1);
  const x = (/** @type {number} */ i) => (i / Math.max(values.length - 1, 1)) * CHART_WIDTH;
  const y = (/** @type {number} */ value) => CHART_HEIGHT - 4 - (value / top) * (CHART_HEIGHT - 8);
  const line = values.map((value, i) => `${i === 0 ? "M" : "L"}${x(i).toFixed(1)},${y(value).toFixed(1)}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", line.join(""));
  element(`${name}-chart`).replaceChildren(path);
  const isOneDay = first.at.slice(0, 10) === last.at.slice(0, 10);
  const timeOnAxis = (/** @type {string} */ at) => timeOf(at).slice(isOneDay ? 11 : 0);
  element(`${name}-axis`).replaceChildren(
    made("span", {}, timeOnAxis(first.at)),
    made("span", {}, `at most ${format(top)}, last ${format(rateOf(last))}`),
    made("span", {}, timeOnAxis(last.at)),
  );
}

/**
 * @param {number} seconds
 * @returns {string}
 */
function duration(seconds) {
  const rounded = Math.round(seconds);
  const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor((rounded % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rounded % 60} s` : `${rounded} s`;
}

/**
 * @param {number} bytes
 * @returns {string}
 */
function megabytes(bytes) {
  return tenths.format(bytes / 1e6);
}

/**
 * @param {string} at ISO 8601.
 * @returns {string}
 */
function timeOf(at) {
  return `${at.slice(0, 19).replace("T", " ")} UTC`;
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function made(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/**
 * @param {string} id
 * @param {string} words
 */
function text(id, words) {
  element(id).textContent = words;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found;
}

/**
 * @param {string} id
 * @returns {HTMLInputElement}
 */
function field(id) {
  return /** @type {HTMLInputElement} */ (element(id));
}
