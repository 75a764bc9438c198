import { expect, test } from "bun:test";
import { INITIAL_PROGRESS } from "../../../src/report/progress.ts";
import { snapshotRun } from "../../../src/report/progress-snapshot.ts";
import { RateHistory } from "../../../src/report/rate-history.ts";
import { withSeed } from "../../support/property.ts";

function snapshotOf(readRows: number, readBytes: number) {
  const phase = { month: "202511", position: 0, total: 0, insertedRows: 0 };
  const phases = [
    { ...phase, phase: "traces", readRows: Math.min(readRows, 100), readBytes: 0 },
    { ...phase, phase: "observations", readRows: Math.max(0, readRows - 100), readBytes },
  ] as const;
  return snapshotRun({ ...INITIAL_PROGRESS, phases }, 0);
}

test("a history is bounded, and holds all that was moved", () => {
  withSeed(20, (random) => {
    const history = new RateHistory(0);
    let [nowMs, rows, bytes] = [0, 0, 0];
    const samples = 1 + random.below(5_000);
    for (let i = 0; i < samples; i++) {
      nowMs += 500;
      rows += random.below(10_000);
      bytes += random.below(10 ** 7);
      history.sample(snapshotOf(rows, bytes), nowMs);
      expect(history.points.length).toBeLessThan(600);
    }
    // To the end of the last stretch.
    nowMs += history.spacingMs;
    history.sample(snapshotOf(rows, bytes), nowMs);
    let sinceMs = 0;
    let [movedRows, movedBytes] = [0, 0];
    for (const { atMs, rowsPerSecond, bytesPerSecond } of history.points) {
      expect(atMs).toBeGreaterThan(sinceMs);
      movedRows += (rowsPerSecond * (atMs - sinceMs)) / 1000;
      movedBytes += (bytesPerSecond * (atMs - sinceMs)) / 1000;
      sinceMs = atMs;
    }
    expect(movedRows / rows).toBeCloseTo(1, 2);
    expect(movedBytes / bytes).toBeCloseTo(1, 2);
  });
});
