import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { Agent, Engine, Errors, Model, Script, Sessions, SessionStore, Skill, Tool } from "effect-baton"
import { Entry } from "effect-baton/schema"
import { StoreJournal } from "effect-baton/testing"
import * as Summary from "../../src/services/Summary.js"
import { engine, open } from "../support/engine.js"

const summary = Summary.headings.map((it) => `## ${it}\nNone.`).join("\n")

/** What a process leaves that goes on with what another one began. */
const resumed = Effect.gen(function* () {
  const over = (writes: ReadonlyArray<StoreJournal.StoreWrite>) =>
    Layer.provideMerge(
      Engine.layer,
      Layer.merge(StoreJournal.layerAfter(writes), Model.layerScripted([Script.always("ok")]))
    )
  const first = yield* Effect.provide(
    Effect.zipRight(
      Effect.flatMap(open(Agent.make("a")), (session) => session.prompt("go", { operationId: "1" })),
      StoreJournal.StoreJournal
    ),
    over([])
  )
  return yield* Effect.provide(
    Effect.zipRight(
      Effect.flatMap(open(Agent.make("a")), (session) => session.prompt("go", { operationId: "1" })),
      Effect.map(SessionStore.Memory, (memory) => [...memory.values()])
    ),
    over(first.slice(0, 2))
  )
})

describe("the record format", () => {
  it.effect("takes every entry that a session writes, and gives it back from its text as it was", () =>
    Effect.gen(function* () {
      const skill = Skill.make("review", { description: "Reviews", instructions: "Look." })
      const tool = Tool.make("t", { description: "", run: () => "x".repeat(60_000) })
      const session = yield* (yield* Sessions.Sessions).open({
        id: "s",
        agent: Agent.make("a", { tools: [tool], skills: [skill] })
      })
      yield* session.prompt([
        { type: "text", text: "go" },
        { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" }
      ])
      yield* Effect.flip(session.prompt("fail"))
      yield* Effect.timeoutOption(session.prompt("hang"), 0)
      const hanging = yield* Effect.fork(session.prompt("hang"))
      yield* Effect.yieldNow()
      yield* session.prompt("again", { onBusy: "rollback" })
      yield* Fiber.await(hanging)
      yield* Effect.flip(session.shell("ls"))
      yield* Effect.flip(session.task("fail"))
      yield* session.label("end")
      yield* session.fork("f", 3)
      yield* session.whatIf("w", { from: 3 })
      assert.strictEqual((yield* session.compact())._tag, "Compacted")
      yield* session.prompt("long")
      yield* Effect.flip(session.compact({ model: "useless" }))
      const decode = Schema.decodeUnknownSync(Entry.Entry, { onExcessProperty: "error" })
      const tags = new Set<string>()
      for (const { entries } of [...(yield* SessionStore.Memory).values(), ...(yield* resumed)]) {
        for (const entry of entries) {
          tags.add(entry._tag)
          const text: unknown = JSON.parse(JSON.stringify(entry))
          assert.deepStrictEqual(decode(text), JSON.parse(JSON.stringify(entry)))
        }
      }
      const known = Entry.Entry.members.map((member) => member.fields._tag.literals[0])
      assert.sameMembers([...tags], known)
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "go",
            { reasoning: "hm", text: "So.", calls: [Script.call("t"), Script.call("t", "bad"), Script.task("sub")] },
            "done"
          ),
          Script.summaries(({ request }) => (request.model === "useless" ? "no" : summary)),
          Script.on("long", "x".repeat(3_000)),
          Script.on("sub", "ok"),
          Script.on("again", "ok"),
          Script.on("fail", { fail: new Errors.ModelRejected({ model: "m", reason: "no", status: 400 }) }),
          Script.on("hang", { before: Effect.never })
        ])
      )
    )
  )
})
