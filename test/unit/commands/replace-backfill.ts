// Preloaded into the program, puts fake-backfill.ts in the place of the copying core, so that everything around it can be
// tested as a process without a server.
import { join } from "node:path";
import { plugin } from "bun";

// Throws where the core has moved: no filter that matches nothing lets the real one run.
const CORE = Bun.resolveSync("../../../src/run/backfill.ts", import.meta.dir);

plugin({
  name: "fake-backfill",
  setup(build) {
    build.onLoad({ filter: new RegExp(`^${RegExp.escape(CORE)}$`) }, async () => ({
      contents: await Bun.file(join(import.meta.dir, "fake-backfill.ts")).text(),
      loader: "ts",
    }));
  },
});
