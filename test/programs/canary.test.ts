/**
 * A secret that stands in the environment, the configuration, the workspace and in what tools give: it is told nowhere.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { inspect } from "node:util"
import { assert, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Effect, Layer, Logger, LogLevel, Schema } from "effect"
import { Agent, Engine, Model, Script, Secrets, Sessions, Skill, Tool } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { Recorder } from "effect-baton/testing"
import { recording, wordsOf } from "../support/tracer.js"

const canary = "canary-9f3c7a51d2e84b60"

it.scopedLive("it is found 0 times in records, events, logs, spans, errors and the store's files", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "canary-"))),
      (at) => Effect.sync(() => fs.rmSync(at, { recursive: true }))
    )
    const root = path.join(folder, "root")
    fs.mkdirSync(path.join(root, ".agents/skills/keys"), { recursive: true })
    fs.writeFileSync(
      path.join(root, ".agents/skills/keys/SKILL.md"),
      `---\nname: keys\ndescription: Has ${canary}\n---\n${canary}`
    )
    fs.writeFileSync(path.join(root, ".agents/skills/keys/more.md"), canary)
    fs.writeFileSync(path.join(root, "AGENTS.md"), `The key is ${canary}.`)
    fs.writeFileSync(path.join(root, ".env"), `KEY=${canary}\n`)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        process.env["BATON_TEST_CANARY"] = canary
      }),
      () =>
        Effect.sync(() => {
          delete process.env["BATON_TEST_CANARY"]
        })
    )
    const told: Array<unknown> = []
    const { started, tracer } = recording()
    const logger = Logger.make(
      (options) => void told.push(options.message, Cause.pretty(options.cause), [...options.annotations])
    )
    const configured = ConfigProvider.fromMap(new Map([["KEY", canary]]))
    yield* Secrets.keep(yield* Effect.withConfigProvider(Config.redacted("KEY"), configured))

    const leak = Tool.make("leak", {
      description: `Gives ${canary}`,
      parameters: Schema.Struct({ as: Schema.Literal("value", "failure", "defect", "json") }),
      run: ({ as }) =>
        Effect.zipRight(
          Effect.logInfo(`in the tool`),
          as === "value"
            ? Effect.succeed<unknown>(`It is ${canary}.`)
            : as === "json"
              ? Effect.succeed<unknown>({ deep: [{ [canary]: canary }] })
              : as === "failure"
                ? Effect.fail(canary)
                : Effect.die(new Error(canary))
        )
    })
    const own = Skill.make("own", { description: canary, instructions: canary, files: { [`${canary}.md`]: canary } })
    const agent = Agent.make("a", { instructions: canary, tools: [leak, ...BuiltinTools.tools], skills: [own] })
    const call = Script.call
    const script = [
      Script.on(
        "go",
        Script.calls(
          ...(["value", "failure", "defect", "json"] as const).map((as) => call("leak", { as })),
          call("bash", { command: "env; cat .env; cat /proc/$PPID/environ | tr '\\0' '\\n'" }),
          call("bash", { command: `echo ${canary}` }),
          call("read", { path: ".env" }),
          call("grep", { pattern: "KEY" }),
          call("activate_skill", { name: "keys" }),
          call("activate_skill", { name: "own" }),
          call("read_skill_resource", { skill: "keys", path: "more.md" }),
          call("read_skill_resource", { skill: "own", path: `${canary}.md` }),
          call("task", { prompt: `read ${canary}`, description: canary })
        ),
        ({ results }) => results.map(({ text }) => text).join("\n")
      ),
      Script.on("read", Script.calls(call("read", { path: "AGENTS.md" })), ({ results }) => results[0]!.text),
      Script.always(({ prompt }) => prompt)
    ]
    const found = yield* Effect.gen(function* () {
      const recorder = yield* Recorder.make
      const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
      const reply = yield* session.prompt(`go ${canary}`)
      const shell = yield* session.shell(`echo ${canary}; false`, { env: { TOKEN: canary } })
      const errors = [
        yield* Effect.flip(session.skill("none", { args: canary })),
        yield* Effect.flip(session.task(canary, { agent: canary })),
        yield* Effect.flip(session.shell("true", { cwd: `../${canary}` }))
      ]
      yield* session.skill("keys", { args: canary })
      // What a command gave its caller is the caller's.
      assert.include(shell.stdout, canary)
      const entries = yield* session.history
      const calls = entries.flatMap((it) => (it._tag === "ToolSettled" ? [`${it.name} ${it.outcome}`] : []))
      assert.lengthOf(calls, 15)
      return {
        entries,
        events: yield* recorder.events,
        reply,
        errors: errors.map((it) => [it.message, inspect(it, { depth: 9 })])
      }
    }).pipe(
      Effect.provide(
        Engine.layer.pipe(
          Layer.provideMerge(SqliteSessionStore.layer({ filename: path.join(folder, "sessions.db") })),
          Layer.provide(Model.layerScripted(script)),
          Layer.provideMerge(BuiltinTools.layer),
          Layer.provideMerge(NodeSandbox.layer({ root }))
        )
      ),
      Effect.withTracer(tracer),
      Effect.withSpan("the test"),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.All),
      Effect.tapErrorCause((cause) => Effect.sync(() => void told.push(Cause.pretty(cause))))
    )
    const places = { ...found, told, spans: started.map(wordsOf) }
    for (const [name, place] of Object.entries(places)) {
      const text =
        JSON.stringify(place, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)) +
        inspect(place, { depth: 12 })
      assert.strictEqual(
        text.split(canary).length - 1,
        0,
        `${name}: ${text.slice(Math.max(0, text.indexOf(canary) - 300), text.indexOf(canary))}`
      )
    }
    assert.isAbove(started.length, 20)
    assert.isAbove(told.length, 20)
    for (const file of fs.readdirSync(folder).filter((name) => name.startsWith("sessions"))) {
      assert.isFalse(fs.readFileSync(path.join(folder, file)).includes(canary), file)
    }
  })
)
