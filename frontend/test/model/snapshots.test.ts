/** Answers and events that overtake each other. */
import { expect, test } from "vitest";
import type { ServerEvent } from "../../src/model/protocol";
import { type Numbered, Snapshots } from "../../src/model/snapshots";

const flags = (seq: number): ServerEvent => ({ seq, type: "flags" });

/** Requests that are answered when the test says so. */
function recorder() {
  const did: string[] = [];
  const snapshots = new Snapshots((event) => did.push(`event ${event.seq}`));
  const ask = (kind = "project") => {
    let resolve: (answer: Numbered | null) => void = () => undefined;
    const promise = new Promise<Numbered | null>((resolved) => {
      resolve = resolved;
    });
    const take = ({ seq }: Numbered) => void did.push(`${kind} ${seq}`);
    const done = snapshots.load(kind, () => promise, take);
    const answer = (given: Numbered | null): Promise<void> => {
      resolve(given);
      return done;
    };
    return { answer };
  };
  return { did, snapshots, ask };
}

test("events that are newer than the answer are taken up again after it", async () => {
  const { did, snapshots, ask } = recorder();
  snapshots.note(flags(3));
  const { answer } = ask();
  for (const seq of [4, 5, 6]) snapshots.note(flags(seq));
  await answer({ seq: 5 });
  expect(did).toEqual(["project 5", "event 6"]);
});

test("an older answer that comes last is left out", async () => {
  const { did, ask } = recorder();
  const [first, second] = [ask(), ask()];
  await second.answer({ seq: 8 });
  await first.answer({ seq: 7 });
  expect(did).toEqual(["project 8"]);
});

test("answers of another kind do not count", async () => {
  const { did, ask } = recorder();
  const tracks = ask("tracks");
  await ask().answer({ seq: 8 });
  await tracks.answer({ seq: 7 });
  expect(did).toEqual(["project 8", "tracks 7"]);
});

test("an answer without a state changes nothing", async () => {
  const { did, snapshots, ask } = recorder();
  const { answer } = ask();
  snapshots.note(flags(1));
  await answer(null);
  expect(did).toEqual([]);
});

test("another server counts anew", async () => {
  const { did, snapshots, ask } = recorder();
  await ask().answer({ seq: 900 });
  snapshots.forget();
  await ask().answer({ seq: 2 });
  expect(did).toEqual(["project 900", "project 2"]);
});

test("failures pass through, and events of the time are forgotten", async () => {
  const { did, snapshots, ask } = recorder();
  const failing = snapshots.load(
    "project",
    () => Promise.reject(new Error("away")),
    () => undefined,
  );
  snapshots.note(flags(4));
  await expect(failing).rejects.toThrow("away");
  await ask().answer({ seq: 1 });
  expect(did).toEqual(["project 1"]);
});
