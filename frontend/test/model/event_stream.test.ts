/** From which event on a page listens. */
import { expect, test } from "vitest";
import type { Api } from "../../src/model/api";
import { EventStream } from "../../src/model/events";

/** The addresses that a stream asks for, given what each answer says before it ends. */
async function addresses(after: number | null, ...answers: object[][]): Promise<string[]> {
  const asked: string[] = [];
  const handler = { onEvent: () => undefined, onOpen: () => undefined };
  await new Promise<void>((resolve) => {
    const send = async (address: string): Promise<Response> => {
      asked.push(address);
      const events = answers.shift();
      if (events !== undefined) {
        return new Response(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      }
      resolve();
      return new Promise(() => undefined);
    };
    void new EventStream({ send } as unknown as Api, handler).run(after);
  });
  return asked;
}

const hello = (seq: number) => ({ seq, type: "hello" });
const flags = (seq: number) => ({ seq, type: "flags" });

test("a page that knows nothing hears of nothing old", async () => {
  expect(await addresses(null)).toEqual(["/api/events"]);
});

test("a page listens from what it knows on", async () => {
  expect(await addresses(41)).toEqual(["/api/events?after=41"]);
});

test("a stream that breaks goes on behind the last event that came", async () => {
  const asked = await addresses(41, [hello(60), flags(42), flags(43)]);
  expect(asked[1]).toBe("/api/events?after=43");
});

test("a greeting that says no event was missed is where the next stream begins", async () => {
  expect((await addresses(null, [hello(60)]))[1]).toBe("/api/events?after=60");
});

test("a server that was started anew counts anew", async () => {
  expect((await addresses(41, [hello(2)]))[1]).toBe("/api/events?after=2");
});
