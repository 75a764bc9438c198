import { createHash } from "node:crypto";
import style from "./page/page.css" with { type: "text" };
import script from "./page/page.js" with { type: "text" };

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>clickhouse-backfill</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1>clickhouse-backfill</h1>
<p id="subject"></p>
<button id="live" type="button" aria-pressed="true">Live</button>
</header>
<main>
<form id="ask" hidden>
<h2>Token</h2>
<p><label for="token">The token of this run (<code>--status-token-file</code>)</label></p>
<p><input id="token" type="password" autocomplete="off" required> <button type="submit">Show the run</button></p>
<p id="refused" role="alert"></p>
</form>
<div id="run" hidden>
<section aria-labelledby="now">
<h2 id="now">Now</h2>
<p id="state"></p>
<p id="said" class="unseen" role="status"></p>
<dl id="figures"></dl>
</section>
<section aria-labelledby="phases-title">
<h2 id="phases-title">Phases <span id="month"></span></h2>
<ul id="phases"></ul>
</section>
<section aria-labelledby="rates-title">
<h2 id="rates-title">Rates</h2>
<div class="charts">
<figure><figcaption id="rows-caption">Rows read per second</figcaption><svg id="rows-chart" role="img" aria-labelledby="rows-caption" viewBox="0 0 600 140" preserveAspectRatio="none"></svg><p class="axis" id="rows-axis"></p></figure>
<figure><figcaption id="bytes-caption">MB read per second</figcaption><svg id="bytes-chart" role="img" aria-labelledby="bytes-caption" viewBox="0 0 600 140" preserveAspectRatio="none"></svg><p class="axis" id="bytes-axis"></p></figure>
</div>
</section>
<section aria-labelledby="months-title">
<h2 id="months-title">Months</h2>
<div class="wide" role="region" aria-labelledby="months-title" tabindex="0">
<table>
<thead><tr><th scope="col">Month</th><th scope="col">State</th><th scope="col">Observations done</th><th scope="col">Time</th></tr></thead>
<tbody id="months"></tbody>
</table>
</div>
</section>
<section aria-labelledby="errors-title">
<h2 id="errors-title">Retries and warnings</h2>
<p id="retries"></p>
<ol id="errors"></ol>
</section>
</div>
<noscript><p>This page needs JavaScript. The same facts: <code>clickhouse-backfill status</code>, /api/status, /metrics.</p></noscript>
</main>
<footer><p id="process"></p></footer>
<script>${script}</script>
</body>
</html>
`;

/** The page, in one document without outside resources, and the policy that lets a browser run nothing else. */
export const STATUS_PAGE: { readonly html: string; readonly policy: string } = {
  html: HTML,
  policy: [
    "default-src 'none'",
    `style-src ${digestOf(style)}`,
    `script-src ${digestOf(script)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
};

/** As https://www.w3.org/TR/CSP3/#grammardef-hash-source has it. */
function digestOf(source: string): string {
  return `'sha256-${createHash("sha256").update(source).digest("base64")}'`;
}
