/**
 * The examples of the documentation do what they say.
 */
import * as fs from "node:fs"
import * as Options from "@effect/cli/Options"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { Model, Script } from "effect-baton"
import { triage } from "../docs/examples/triage.js"
import * as cli from "../src/programs/cli/options.js"
import { about } from "../src/programs/cli/overview.js"

const call = Script.call

describe("docs/examples/triage.ts", () => {
  it("has fewer than 50 lines", () => {
    const file = fs.readFileSync(new URL("../docs/examples/triage.ts", import.meta.url), "utf8")
    assert.isBelow(file.trimEnd().split("\n").length, 50)
  })

  it.effect("loads its skill, delegates to both subagents, and its sandbox really changes", () => {
    const told: Array<string> = []
    const requests: Array<Model.ModelRequest> = []
    const remember = (view: Script.View) => {
      requests.push(view.request)
      told.push(...view.results.map(({ text }) => text))
    }
    const step = (turn: Script.Turn | string) => (view: Script.View) => {
      remember(view)
      return turn
    }
    const fix = { path: "run.sh", oldText: "1 / 0", newText: "1 / 1" }
    const script = [
      Script.on(
        "Find it",
        step(Script.calls(call("grep", { pattern: "/ 0" }))),
        step({ text: "run.sh:1 divides by nothing" })
      ),
      Script.on(
        "Fix it",
        step(Script.calls(call("edit", fix))),
        step(Script.calls(call("bash", { command: "bash run.sh" }))),
        step("It prints 1.")
      ),
      Script.on(
        "crashes",
        step(Script.calls(call("activate_skill", { name: "labels" }))),
        step(Script.calls(call("read_skill_resource", { skill: "labels", path: "labels.md" }))),
        step(Script.calls(Script.task("Find it", { agent: "reader" }))),
        step(Script.calls(Script.task("Fix it", { agent: "fixer" }))),
        step("bug, crash")
      )
    ]
    return Effect.gen(function* () {
      assert.strictEqual(yield* triage("run.sh crashes"), "bug, crash")
      const [loaded, labels, found, , ran, ...rest] = told
      assert.include(loaded, "Something that stops working is a `bug`")
      assert.include(labels, "crash: it ends the program")
      assert.include(found, "run.sh")
      assert.match(ran!, /^.*/)
      assert.include(told.join("\n"), "1\n[Exit code 0.]")
      assert.include(rest.join("\n"), "It prints 1.")
      const [first] = requests
      assert.include(first!.instructions, "Every script ends with exit code 0.")
      assert.include(first!.instructions, "- labels: Which labels an issue gets.")
      assert.include(first!.tools[0]!.description, "- reader: Reads the sources")
      assert.include(first!.tools[0]!.description, "- fixer: Changes a file")
    }).pipe(Effect.provide(Layer.fresh(Model.layerScripted(script))))
  })
})

describe("docs/index.md", () => {
  const page = fs.readFileSync(new URL("../docs/index.md", import.meta.url), "utf8")
  const rows = page.split("\n").flatMap((line) => (line.startsWith("| `") ? [line.split(" | ")] : []))
  const commands = Object.keys(about).filter((name) => name !== "agent")

  it("lists the commands of the executable", () => {
    const listed = rows.flatMap(([name]) => /^\| `baton (agent show|\w+)/.exec(name!)?.[1] ?? [])
    assert.deepStrictEqual(listed, commands)
  })

  it("lists the options, and of which commands they are", () => {
    const all: Record<string, Record<string, Options.Options<unknown>>> = {
      prompt: cli.promptOptions,
      skill: cli.skillOptions,
      task: cli.taskOptions,
      shell: cli.shellOptions,
      "agent show": cli.showOptions,
      resume: cli.resumeOptions,
      sessions: cli.sessionsOptions,
      tree: cli.treeOptions,
      transcript: cli.transcriptOptions,
      search: cli.searchOptions,
      label: cli.labelOptions,
      move: cli.moveOptions,
      rewind: cli.rewindOptions,
      fork: cli.forkOptions,
      compact: cli.compactOptions,
      export: cli.exportOptions,
      import: cli.importOptions,
      remove: cli.removeOptions,
      prune: cli.pruneOptions
    }
    assert.deepStrictEqual(Object.keys(all), commands)
    const listed = new Map<string, ReadonlyArray<string>>()
    for (const [names, of] of rows) {
      const [, but] = /^all(?: but (.*))?$/.exec(of ?? "") ?? []
      const whose = of?.startsWith("all")
        ? commands.filter((it) => but?.split(", ").includes(it) !== true)
        : of?.split(", ")
      for (const [, name] of names!.matchAll(/`--([a-z-]+)/g)) listed.set(name!, whose!)
    }
    for (const command of commands) {
      const its = Object.values(all[command]!).map((it) =>
        Option.getOrThrow(Options.getIdentifier(it)).replace(/^--/, "")
      )
      const told = [...listed].flatMap(([name, whose]) => (whose.includes(command) ? [name] : []))
      assert.deepStrictEqual(told.toSorted(), its.toSorted(), command)
    }
  })
})
