/**
 * What sessions of an engine change in the virtual sandbox, and how it is brought back to a point of their histories.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { Agent, Engine, type Entry, Model, Sandbox, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { VirtualSandbox } from "effect-baton/virtual"
import { plant, tempFolder } from "../support/folder.js"

const layer = (script: Script.Script, options?: VirtualSandbox.Options) =>
  Layer.provideMerge(
    Engine.layer,
    Layer.mergeAll(
      SessionStore.layerMemory,
      Model.layerScripted(script),
      Layer.provideMerge(BuiltinTools.layer, VirtualSandbox.layer(options))
    )
  )

const call = (name: string, args: object) => Script.calls(Script.call(name, args))

const open = (id: string, agent?: Agent.Agent) =>
  Effect.gen(function* () {
    const tools = yield* Sandbox.SandboxTools
    const { open } = yield* Sessions.Sessions
    return yield* open({ id, agent: agent ?? Agent.make("worker", { tools }) })
  })

/** Restores what a session changed to an entry of a history that does not branch. */
const restore = (session: string, entry: number) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.Sandbox
    const row = yield* Effect.flatMap(SessionStore.SessionStore, (store) => store.get(session))
    return yield* sandbox.restore!(row!.incarnation, (place) => place <= entry)
  })

/** Every name in the sandbox, with what is there; found out by nobody's command. */
const look = Effect.gen(function* () {
  const { exec } = yield* Sandbox.Sandbox
  const { stdout } = yield* exec({
    command: 'find . -mindepth 1 | sort | while read f; do stat -c "%A" "$f" | tr "\\n" " "; echo "$f"; done; cat *'
  })
  return stdout
})

const text = (path: string) =>
  Effect.flatMap(Sandbox.Sandbox, ({ read }) => Effect.map(read(path), (it) => Buffer.from(it).toString()))

const last = (session: Sessions.Session) => Effect.map(session.history, (entries) => entries.at(-1)!.id)

const entryOf = (entries: ReadonlyArray<Entry.Entry>, tag: Entry.Entry["_tag"], name?: string) =>
  entries.findLast((it) => it._tag === tag && (name === undefined || ("name" in it && it.name === name)))!.id

describe("what a session changed in the virtual sandbox", () => {
  it.scopedLive("by its commands comes back as it was after each, and goes forward again", () =>
    Effect.gen(function* () {
      const session = yield* open("s")
      const commands = [
        "echo one > a; mkdir -p d/e; echo x > d/e/f; echo y >> d/e/f",
        "mv d g; ln -s g/e/f l; chmod 700 a",
        "sed -i s/one/two/ a; cp -r g h; touch /tmp/t",
        "rm -r g; echo three >> a; ln a b; rmdir h/nothing 2>/dev/null; mv h d"
      ]
      const points = [{ entry: 0, looked: yield* look }]
      for (const command of commands) {
        yield* session.shell(command)
        points.push({ entry: yield* last(session), looked: yield* look })
      }
      assert.strictEqual(new Set(points.map(({ looked }) => looked)).size, points.length)
      for (const i of [3, 1, 4, 2, 0, 4, 0, 3]) {
        const { conflicts } = yield* restore("s", points[i]!.entry)
        assert.deepStrictEqual(conflicts, [])
        assert.strictEqual(yield* look, points[i]!.looked, `after command ${i}`)
      }
      assert.deepStrictEqual(yield* restore("s", points[3]!.entry), { restored: [], conflicts: [] })
      assert.deepStrictEqual((yield* restore("s", points[2]!.entry)).restored, ["/tmp/t", "a", "h", "h/e", "h/e/f"])
    }).pipe(Effect.provide(layer([Script.always("ok")], { files: { kept: "as it is" } })))
  )

  it.scopedLive(
    "by its tools and its tasks counts for both, each in its own history, and no one else's is touched",
    () =>
      Effect.gen(function* () {
        const tools = yield* Sandbox.SandboxTools
        const child = Agent.make("child", { description: "Helps", tools })
        const parent = yield* open("s", Agent.make("worker", { tools, subagents: [child] }))
        const other = yield* open("other")
        yield* parent.prompt("work")
        yield* other.prompt("meddle")
        const sandbox = yield* Sandbox.Sandbox
        yield* sandbox.write("nobodys", Buffer.from("x"))
        const entries = yield* parent.history
        const written = entryOf(entries, "ToolSettled", "write")
        const delegated = entryOf(entries, "ToolSettled", "task")
        const name = entries.find((it) => it._tag === "TaskLink")!.child
        assert.strictEqual(yield* text("a"), "edited\n")

        const back = yield* restore("s", written)
        assert.deepStrictEqual(back, {
          restored: ["a", "from-child"],
          conflicts: [{ path: "shared", reason: "it was changed by somebody else since" }]
        })
        assert.deepStrictEqual([yield* text("a"), yield* text("shared")], ["written\n", "other's\n"])
        assert.deepStrictEqual(
          (yield* sandbox.list(".")).map((it) => it.name),
          ["a", "nobodys", "others", "shared"]
        )
        assert.deepStrictEqual((yield* restore("s", delegated)).restored, ["from-child"])
        assert.deepStrictEqual((yield* restore("s", entries.length)).restored, ["a"])
        assert.strictEqual(yield* text("a"), "edited\n")

        // The child's own history has its own places.
        const store = yield* SessionStore.SessionStore
        const { incarnation } = (yield* store.get(name))!
        const first = entryOf(yield* store.read(name, incarnation, 1), "OperationStarted")
        assert.deepStrictEqual((yield* restore(name, first)).restored, ["from-child"])
        assert.deepStrictEqual((yield* restore("other", 1)).restored, ["others", "shared"])
        assert.strictEqual(yield* text("shared"), "child's\n")
      }).pipe(
        Effect.provide(
          layer([
            Script.on(
              "work",
              call("write", { path: "a", content: "written\n" }),
              call("task", { prompt: "help", agent: "child" }),
              call("edit", { path: "a", oldText: "written", newText: "edited" }),
              "done"
            ),
            Script.on("help", call("bash", { command: 'echo mine > from-child; echo "child\'s" > shared' }), "helped"),
            Script.on("meddle", call("bash", { command: 'echo "other\'s" > shared; echo x > others' }), "done"),
            Script.always("ok")
          ])
        )
      )
  )

  it.scopedLive("by a plain async handler counts, also when that was given up and works on after the operation", () =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox.Sandbox
      const go = yield* Deferred.make<void>()
      const late = yield* Deferred.make<void>()
      const write = (path: string) => Effect.runPromise(sandbox.write(path, Buffer.from("x")))
      const tool = Tool.make("tool", {
        description: "Writes, and writes more when it was given up",
        parameters: { path: Schema.String },
        deadline: 50,
        run: async ({ path }) => {
          await write(path)
          await Effect.runPromise(Deferred.await(go))
          await write("late")
          await Effect.runPromise(Deferred.succeed(late, undefined))
          return "done"
        }
      })
      const session = yield* open("s", Agent.make("a", { tools: [tool] }))
      yield* session.prompt("go")
      const end = entryOf(yield* session.history, "Assistant")
      yield* session.shell("echo more > more")
      yield* Deferred.succeed(go, undefined)
      yield* Deferred.await(late)
      // It counts where its operation has written last, whatever the session does meanwhile.
      assert.deepStrictEqual((yield* restore("s", end)).restored, ["more"])
      assert.deepStrictEqual((yield* restore("s", end - 1)).restored, ["late"])
      assert.deepStrictEqual((yield* restore("s", end)).restored, ["late"])
      assert.deepStrictEqual((yield* restore("s", 1)).restored, ["early", "late"])
      assert.deepStrictEqual(yield* sandbox.list("."), [])
    }).pipe(Effect.provide(layer([Script.on("go", call("tool", { path: "early" }), "done")])))
  )

  it.scopedLive("counts up to where its command was ended", () =>
    Effect.gen(function* () {
      const session = yield* open("s")
      const sandbox = yield* Sandbox.Sandbox
      const fiber = yield* Effect.fork(session.shell("while true; do echo x >> f; done"))
      yield* Effect.repeat(sandbox.list("."), { until: (names) => names.length > 0 })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* restore("s", 0), { restored: ["f"], conflicts: [] })
      assert.deepStrictEqual((yield* restore("s", yield* last(session))).restored, ["f"])
    }).pipe(Effect.provide(layer([Script.always("ok")])))
  )

  it.scopedLive("restored within another's operation counts for that, which brings it back", () =>
    Effect.gen(function* () {
      const helped = yield* open("helped")
      yield* helped.shell("echo one > f")
      const tool = Tool.make("undo", {
        description: "Restores what a session did",
        run: () => Effect.as(Effect.provide(restore("helped", 0), services), "undone")
      })
      const services = yield* Effect.context<Sandbox.Sandbox | SessionStore.SessionStore>()
      const session = yield* open("s", Agent.make("a", { tools: [tool] }))
      yield* session.prompt("undo it")
      assert.deepStrictEqual((yield* restore("s", 1)).restored, ["f"])
      assert.strictEqual(yield* text("f"), "one\n")
    }).pipe(Effect.provide(layer([Script.on("undo it", call("undo", {}), "done")])))
  )

  it.scopedLive("is remembered beside a snapshot, and is in none", () =>
    Effect.gen(function* () {
      const session = yield* open("s")
      const { restore: putBack, snapshot } = yield* VirtualSandbox.VirtualSandbox
      const empty = yield* snapshot
      yield* session.shell("echo one > f; echo two > g")
      const full = yield* snapshot
      const end = yield* last(session)
      yield* putBack(empty)
      // Where it stands as it is to stand, that is all; where it does not, the snapshot has changed it.
      assert.deepStrictEqual(yield* restore("s", 0), { restored: [], conflicts: [] })
      const reason = "it was changed by somebody else since"
      assert.deepStrictEqual((yield* restore("s", end)).conflicts, [
        { path: "f", reason },
        { path: "g", reason }
      ])
      yield* putBack(full)
      assert.deepStrictEqual((yield* restore("s", 0)).restored, ["f", "g"])
      const again = yield* Layer.build(VirtualSandbox.layer({ snapshot: full }))
      const row = yield* Effect.flatMap(SessionStore.SessionStore, (store) => store.get("s"))
      const { restore: elsewhere } = Context.get(again, Sandbox.Sandbox)
      assert.deepStrictEqual(yield* elsewhere!(row!.incarnation, () => false), { restored: [], conflicts: [] })
    }).pipe(Effect.provide(layer([Script.always("ok")])))
  )

  it.scopedLive("of the folder below comes back as long as that is read", () =>
    Effect.gen(function* () {
      const overlay = yield* tempFolder
      plant(overlay, { "sub/f": "below", g: "below" })
      const context = yield* Layer.build(layer([Script.always("ok")], { overlay }))
      yield* Effect.gen(function* () {
        const sandbox = yield* Sandbox.Sandbox
        const session = yield* open("s")
        yield* session.shell("rm -r sub; echo x >> g")
        const end = yield* last(session)
        assert.deepStrictEqual((yield* restore("s", 0)).restored, ["g", "sub", "sub/f"])
        assert.deepStrictEqual([yield* text("sub/f"), yield* text("g")], ["below", "below"])
        yield* restore("s", end)
        const { restore: putBack, snapshot } = yield* VirtualSandbox.VirtualSandbox
        yield* putBack(yield* snapshot)
        const reason = "it stands in the folder below, which is not read any more"
        assert.deepStrictEqual(yield* restore("s", 0), {
          restored: ["sub"],
          conflicts: [
            { path: "g", reason },
            { path: "sub/f", reason }
          ]
        })
        assert.deepStrictEqual(yield* sandbox.list("sub"), [])
      }).pipe(Effect.provide(context))
    })
  )

  it.scoped("is not remembered by the sandbox of a folder of this machine", () =>
    Effect.gen(function* () {
      const root = yield* tempFolder
      const context = yield* Layer.build(NodeSandbox.layer({ root }))
      assert.isUndefined(Context.get(context, Sandbox.Sandbox).restore)
    })
  )
})
