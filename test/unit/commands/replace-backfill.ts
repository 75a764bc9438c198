// Preloaded into the program, puts fake-backfill.ts in the place of the copying core, so that everything around it can be
// tested as a process without a server.
import { join } from "node:path";
import { plugin } from "bun";

plugin({
  name: "fake-backfill",
  setup(build) {
    build.onLoad({ filter: /src[/\\]pipeline[/\\]backfill\.ts$/ }, async () => ({
      contents: await Bun.file(join(import.meta.dir, "fake-backfill.ts")).text(),
      loader: "ts",
    }));
  },
});
