/** What a changelog says of a version, without the heading (`## 1.2.3` or `## [1.2.3] - 2026-11-22`); null for nothing. */
export function changelogSection(changelog: string, version: string): string | null {
  const sections = changelog.split(/^## /m).slice(1);
  const section = sections.find((text) => headingVersion(text) === version);
  const body = section?.slice(section.indexOf("\n") + 1).trim() ?? "";
  return body === "" ? null : body;
}

function headingVersion(section: string): string | undefined {
  return /^\[?([^\s\]]+)\]?/.exec(section)?.[1];
}
