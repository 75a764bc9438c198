/** The circumstances of a trial's run, apart from its settings. */
export const SCENES = ["plain", "failing view", "deduplicating target"] as const;

export type Scene = (typeof SCENES)[number];

/** One run under one profile. */
export interface Trial {
  /** `name=value`, or several of them; how `--only` names it. */
  readonly name: string;
  /** The user's profile. */
  readonly settings: Readonly<Record<string, string>>;
  /** Settings of the source, the traces and the target, by MODIFY SETTING. */
  readonly tableSettings?: Readonly<Record<string, string>>;
  readonly scene: Scene;
}

/** A trial of a profile, in the plain scene. */
export function trialOf(settings: Readonly<Record<string, string>>, scene: Scene = "plain"): Trial {
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const parts = scene === "plain" ? text : [...text, `(${scene})`];
  return { name: parts.join(" "), settings, scene };
}
