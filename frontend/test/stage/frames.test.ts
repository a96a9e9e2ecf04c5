import { describe, expect, it } from "vitest";
import { around, Cache, Fetcher, type Want } from "../../src/stage/frames";

describe("the cache", () => {
  it("drops what was used longest ago", () => {
    const dropped: string[] = [];
    const cache = new Cache<string>(10, (value) => dropped.push(value));
    cache.set("a", "A", 4);
    cache.set("b", "B", 4);
    cache.get("a");
    cache.set("c", "C", 4);
    expect(dropped).toEqual(["B"]);
    expect([cache.has("a"), cache.has("b"), cache.bytes]).toEqual([true, false, 8]);
  });

  it("keeps one value that is larger than all of it", () => {
    const cache = new Cache<string>(10);
    cache.set("a", "A", 4);
    cache.set("b", "B", 40);
    expect([cache.has("a"), cache.get("b")]).toEqual([false, "B"]);
  });

  it("drops by key", () => {
    const cache = new Cache<number>(10);
    cache.set("marks 1", 1, 1);
    cache.set("labels 1", 2, 1);
    cache.deleteWhere((key) => key.startsWith("marks"));
    expect([cache.has("marks 1"), cache.has("labels 1"), cache.bytes]).toEqual([false, true, 1]);
  });
});

interface Request {
  key: string;
  signal: AbortSignal;
  answer(): void;
  fail(error: Error): void;
}

function requests() {
  const made: Request[] = [];
  const want = (key: string): Want => ({
    key,
    load: (signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
        made.push({ key, signal, answer: resolve, fail: reject });
      }),
  });
  return { made, want };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("the fetcher", () => {
  it("asks for four at once, in order, and goes on when one arrives", async () => {
    const { made, want } = requests();
    let arrived = 0;
    const fetcher = new Fetcher(
      () => arrived++,
      () => true,
    );
    fetcher.want(["a", "b", "c", "d", "e", "f"].map(want));
    expect(made.map((request) => request.key)).toEqual(["a", "b", "c", "d"]);
    made[1].answer();
    await settled();
    expect(made.at(-1)?.key).toBe("e");
    expect(arrived).toBe(1);
  });

  it("aborts what is wanted no more, except what is kept", async () => {
    const { made, want } = requests();
    const fetcher = new Fetcher(
      () => undefined,
      () => true,
    );
    fetcher.want(["a", "b"].map(want));
    fetcher.want(["c"].map(want), new Set(["b"]));
    expect(made.map(({ key, signal }) => [key, signal.aborted])).toEqual([
      ["a", true],
      ["b", false],
      ["c", false],
    ]);
    await settled();
    expect(fetcher.failure("a")).toBeUndefined();
  });

  it("does not ask again for what failed for good, until it is forgiven", async () => {
    const { made, want } = requests();
    const fetcher = new Fetcher(
      () => undefined,
      (error) => error.message === "damaged",
    );
    fetcher.want(["a", "b"].map(want));
    made[0].fail(new Error("damaged"));
    made[1].fail(new Error("unreachable"));
    await settled();
    fetcher.want(["a", "b"].map(want));
    expect(made.map((request) => request.key)).toEqual(["a", "b", "b"]);
    expect(fetcher.failure("a")?.message).toBe("damaged");
    fetcher.forgive();
    fetcher.want(["a"].map(want));
    expect(made.at(-1)?.key).toBe("a");
  });
});

describe("frames around the playhead", () => {
  it("lie ahead, with the one behind soon", () => {
    expect(around(10, 1, 100, 6)).toEqual([11, 12, 13, 14, 9, 15, 16]);
    expect(around(10, -1, 100, 3)).toEqual([9, 8, 7, 11]);
  });

  it("stay within the clip", () => {
    expect(around(0, 1, 3, 24)).toEqual([1, 2]);
  });
});
