/** An engine that comes as a Python wheel. */
export interface EngineVersion {
  /** ClickHouse's version. */
  readonly name: string;
  readonly wheel: { readonly package: "chdb" | "chdb-core"; readonly version: string };
}

/** Every engine that is tried, oldest first. */
export const ENGINES: readonly EngineVersion[] = [
  { name: "24.5", wheel: { package: "chdb", version: "2.0.4" } },
  { name: "24.8", wheel: { package: "chdb", version: "3.3.0" } },
  { name: "25.5", wheel: { package: "chdb", version: "3.6.0" } },
  { name: "25.8", wheel: { package: "chdb", version: "3.7.2" } },
  { name: "26.1", wheel: { package: "chdb-core", version: "26.1.0" } },
  { name: "26.3", wheel: { package: "chdb-core", version: "26.3.0" } },
  { name: "26.5", wheel: { package: "chdb-core", version: "26.5.0" } },
  { name: "26.7", wheel: { package: "chdb-core", version: "26.7.3" } },
  { name: "26.9", wheel: { package: "chdb-core", version: "26.9.0" } },
];
