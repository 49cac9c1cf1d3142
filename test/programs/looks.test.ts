import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import type { Model } from "effect-baton"
import { Agent, Errors, Sandbox, Script, Secrets, Sessions, SessionStore, Skill } from "effect-baton"
import { engineOver, open, watchedModel } from "../support/engine.js"
import { begin, gate, settle } from "../support/stage.js"
import { filesSandbox } from "../support/filesSandbox.js"

type Files = typeof Sandbox.Sandbox.Service

const over = (sandbox: Files, script: Script.Script = [Script.always("ok")]) => {
  const { layer: model, requests } = watchedModel(script)
  return {
    requests,
    layer: engineOver(Layer.mergeAll(SessionStore.layerMemory, model, Layer.succeed(Sandbox.Sandbox, sandbox)))
  }
}

const skillFile = (name: string) => `---\nname: ${name}\ndescription: about ${name}\n---\nbody\n`

const texts = (request: Model.ModelRequest | undefined): string => JSON.stringify(request?.messages)

describe("what the workspace tells", () => {
  it.scoped("comes as a message where a request went out before there was any of it", () => {
    const files = new Map<string, string>()
    const { layer, requests } = over(filesSandbox(files))
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.prompt("one")
      files.set("AGENTS.md", "be brief")
      files.set(".agents/skills/tone/SKILL.md", skillFile("tone"))
      yield* session.prompt("two")
      yield* session.prompt("three")
      assert.deepStrictEqual(
        requests.map(({ instructions }) => instructions),
        ["", "", ""]
      )
      for (const [i, { messages }] of requests.entries()) {
        const before = requests[i - 1]?.messages ?? []
        assert.deepStrictEqual(messages.slice(0, before.length), before)
      }
      assert.include(texts(requests[1]), "be brief")
      assert.include(texts(requests[1]), "tone: about tone")
      assert.include(texts(requests[1]), "load its skill with activate_skill")
    }).pipe(Effect.provide(layer))
  })

  it.scoped("goes with the instructions where nothing but commands came before it", () => {
    const files = new Map([["AGENTS.md", "be brief"]])
    const { layer, requests } = over(filesSandbox(files))
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.shell("true")
      yield* session.prompt("one")
      assert.include(requests[0]!.instructions, "be brief")
    }).pipe(Effect.provide(layer))
  })

  for (const [how, fault] of [
    ["fails", () => new Errors.SandboxError({ operation: "read", path: "x", reason: "the disk failed" })],
    ["dies", () => Effect.die("no")],
    ["interrupts itself", () => Effect.interrupt]
  ] as const) {
    it.scoped(`is not said to be gone where the sandbox ${how}`, () => {
      const files = new Map([
        ["AGENTS.md", "be brief"],
        [".agents/skills/tone/SKILL.md", skillFile("tone")]
      ])
      let broken = false
      const sandbox = filesSandbox(files)
      const faulty: Files = {
        ...sandbox,
        read: (path, options) => (broken ? fault() : sandbox.read(path, options)),
        list: (path, cwd) => (broken ? fault() : sandbox.list(path, cwd))
      }
      const { layer, requests } = over(faulty)
      return Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        yield* session.prompt("one")
        broken = true
        yield* session.prompt("two")
        broken = false
        yield* session.prompt("three")
        assert.notInclude(texts(requests[2]), "gone")
        assert.notInclude(texts(requests[2]), "has changed")
        assert.deepStrictEqual(
          requests.map(({ tools }) => tools.map(({ name }) => name)),
          [0, 1, 2].map(() => ["task", "activate_skill", "read_skill_resource"])
        )
        const read = (yield* session.history).flatMap((it) => (it._tag === "WorkspaceRead" ? [it.skipped.length] : []))
        assert.deepStrictEqual(
          read.map((it) => it > 0),
          [false, true, false]
        )
      }).pipe(Effect.provide(layer))
    })
  }

  it.scoped("a secret is in none of it, also where it is cut, or is the name of a skill", () =>
    Effect.gen(function* () {
      const secret = "canary-0123456789"
      yield* Secrets.keep(Redacted.make(secret))
      const files = new Map([
        ["AGENTS.md", "x".repeat(64 * 1024 - 10) + secret],
        [`.agents/skills/${secret}/SKILL.md`, skillFile(secret)],
        [".agents/skills/tone/SKILL.md", skillFile("tone")]
      ])
      const { layer, requests } = over(filesSandbox(files))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        yield* session.prompt("one")
        assert.include(requests[0]!.instructions, "tone")
        assert.notInclude(JSON.stringify([requests, yield* session.history]), "canary")
        yield* session.task("go", { cwd: secret })
        assert.notInclude(JSON.stringify(yield* (yield* Sessions.Sessions).list("s")), "canary")
        const unknown = yield* Effect.flip(session.skill(secret))
        assert.notInclude(JSON.stringify(unknown), "canary")
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a look", () => {
  const held = (files: Map<string, string>) =>
    Effect.map(gate, (it) => {
      const sandbox = filesSandbox(files)
      let times = 0
      const faulty: Files = {
        ...sandbox,
        place: (path, cwd) =>
          times++ === 0 ? Effect.zipRight(it.stop, sandbox.place(path, cwd)) : sandbox.place(path, cwd)
      }
      return { ...it, sandbox: faulty }
    })

  for (const when of ["wait", "steer", "followUp"] as const) {
    it.scoped(`that is interrupted loses no input that was submitted (${when})`, () =>
      Effect.gen(function* () {
        const { reached, sandbox } = yield* held(new Map())
        const { layer, requests } = over(sandbox)
        yield* Effect.gen(function* () {
          const session = yield* open(Agent.make("a"))
          yield* session.submit("submitted", { when, operationId: "x" })
          yield* reached
          yield* session.prompt("quick", { onBusy: "interrupt" })
          yield* settle
          const users = (yield* session.history).flatMap((it) => (it._tag === "User" ? it.content : []))
          const said = users.flatMap((it) => (it.type === "text" ? [it.text] : []))
          assert.deepStrictEqual(said.toSorted(), ["quick", "submitted"])
          assert.include(texts(requests.at(-1)), "submitted")
        }).pipe(Effect.provide(layer))
      })
    )
  }

  it.scoped("of a skill's files is given up", () => {
    const own: Skill.Skill = { ...Skill.make("slow", { description: "d", instructions: "body" }), files: Effect.never }
    const { layer, requests } = over(filesSandbox(new Map()))
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { skills: [own] }))
      const running = yield* begin(session.skill("slow"))
      yield* TestClock.adjust("11 seconds")
      yield* Fiber.join(running)
      assert.include(texts(requests[0]), "body")
      assert.include(texts(requests[0]), "cannot be listed")
    }).pipe(Effect.provide(layer))
  })

  it.scoped("that cannot be interrupted is given up all the same", () =>
    Effect.gen(function* () {
      const never = yield* Deferred.make<never>()
      yield* Effect.addFinalizer(() => Deferred.interrupt(never))
      const sandbox = filesSandbox(new Map())
      const { layer } = over({ ...sandbox, place: () => Effect.uninterruptible(Deferred.await(never)) })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const running = yield* begin(session.prompt("go"))
        yield* TestClock.adjust("11 seconds")
        yield* settle
        assert.isNotNull(running.unsafePoll())
        yield* Deferred.interrupt(never)
      }).pipe(Effect.provide(layer))
    })
  )
})
