import { expect, test } from "bun:test";
import { changelogSection } from "../../../scripts/release/changelog.ts";

const CHANGELOG = `# Changelog

## Unreleased

### Added

- Something new.

## [1.10.0] - 2026-12-01

### Fixed

- A fix.

## 1.1.0

- The first.

## 1.0.0

`;

test.each([
  ["1.10.0", "### Fixed\n\n- A fix."],
  ["1.1.0", "- The first."],
  ["Unreleased", "### Added\n\n- Something new."],
])("the section of %s", (version, section) => {
  expect(changelogSection(CHANGELOG, version)).toBe(section);
});

test.each(["1.1", "1.0.0", "2.0.0", "Added"])("%s has none", (version) => {
  expect(changelogSection(CHANGELOG, version)).toBeNull();
});
