import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as v from "valibot";

const ROOT = resolve(import.meta.dir, "../../..");
const DIRECTORY = join(ROOT, ".github/ISSUE_TEMPLATE");

const text = v.pipe(v.string(), v.minLength(1));
const validations = v.optional(v.strictObject({ required: v.boolean() }));

/** GitHub's form schema, as far as the forms use it: a form with anything else in it is not shown. */
const formSchema = v.strictObject({
  name: text,
  description: text,
  labels: v.optional(v.array(text)),
  body: v.array(
    v.variant("type", [
      v.strictObject({ type: v.literal("markdown"), attributes: v.strictObject({ value: text }) }),
      v.strictObject({
        type: v.literal("input"),
        id: v.pipe(v.string(), v.regex(/^[\w-]+$/)),
        attributes: v.strictObject({ label: text, description: text, placeholder: v.optional(text) }),
        validations,
      }),
      v.strictObject({
        type: v.literal("textarea"),
        id: v.pipe(v.string(), v.regex(/^[\w-]+$/)),
        attributes: v.strictObject({
          label: text,
          description: v.optional(text),
          render: v.optional(v.literal("Text")),
        }),
        validations,
      }),
    ]),
  ),
});

const files = [...new Bun.Glob("*.yml").scanSync({ cwd: DIRECTORY })].filter((name) => name !== "config.yml");

test("there are forms, and no issue without one", () => {
  expect(files.sort()).toEqual(["bug.yml", "question.yml"]);
  expect(Bun.YAML.parse(readFileSync(join(DIRECTORY, "config.yml"), "utf8"))).toEqual({
    blank_issues_enabled: false,
  });
});

describe.each(files)("%s", (name) => {
  const source = readFileSync(join(DIRECTORY, name), "utf8");
  const form = Bun.YAML.parse(source);

  test("is a form as GitHub takes it", () => {
    const { body } = v.parse(formSchema, form);
    const fields = body.flatMap((element) => (element.type === "markdown" ? [] : [element]));
    expect(fields.length).toBeGreaterThan(2);
    expect(new Set(fields.map(({ id }) => id)).size).toBe(fields.length);
    expect(new Set(fields.map(({ attributes }) => attributes.label)).size).toBe(fields.length);
  });

  test("links to documents that exist", () => {
    const links = Array.from(source.matchAll(/\]\(\.\.\/blob\/main\/([^)#]+)/g), ([, path = ""]) => path);
    expect(links).not.toBeEmpty();
    expect(links.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
