/**
 * Faults in what tools are and give: results in parts, tools from elsewhere, and who may run one.
 */

const byContent = ["test/programs/toolContent.test.ts"]
const byToolkits = ["test/programs/toolkits.test.ts"]
const byAuthority = ["test/programs/authority.test.ts"]
const toolkit = "src/services/Toolkit.ts"
const toolset = "src/programs/toolset.ts"
const toolResult = "src/programs/toolResult.ts"

export const toolValues = [
  {
    name: "progress: another image is the same result",
    file: "src/programs/Progress.ts",
    find: "data === b?.images?.[i]?.data",
    replace: "data.length === b?.images?.[i]?.data.length",
    tests: byContent
  },
  {
    name: "results: what is no picture is recorded as one",
    file: toolResult,
    find: " ?? bytesProblem(mediaType as string, data as string)",
    replace: "",
    tests: byContent
  },
  {
    name: "results: images are bounded one by one alone",
    file: toolResult,
    find: "if (room < 0)",
    replace: "if (room < -1e9)",
    tests: byContent
  },
  {
    name: "results: a JSON part keeps its secrets",
    file: toolResult,
    find: "const cleaned = clean(JSON.parse(printed.json), { room: Number.POSITIVE_INFINITY })",
    replace: "const cleaned = { value: JSON.parse(printed.json) }",
    tests: byContent
  },
  {
    name: "results: what was cut from the text is in the parts",
    file: toolResult,
    find: "if (told.text === whole) return",
    replace: "if (told !== undefined) return",
    tests: byContent
  },
  {
    name: "results: an image counts no tokens",
    file: "src/programs/estimate.ts",
    find: "images += result.images?.length ?? 0",
    replace: "images += 0",
    tests: byContent
  },
  {
    name: "results: a provider is not shown their images",
    file: "src/layers/ai/prompt.ts",
    find: "return images.length === 0 ? [results] : [results, userMessage(images)]",
    replace: "return [results]",
    tests: ["test/layers/providerSessions.test.ts"]
  },
  {
    name: "toolkits: a failure that is to be returned is told as any",
    file: toolkit,
    find: 'ai.failureMode === "return"',
    replace: 'ai.failureMode === "never"',
    tests: byToolkits
  },
  {
    name: "toolkits: a value is told without its schema",
    file: toolkit,
    find: "Effect.mapError(success.encode(value), ",
    replace: "Effect.mapError(Effect.succeed(value), ",
    tests: byToolkits
  },
  {
    name: "toolkits: a failure of a toolkit with its handlers is a value",
    file: toolkit,
    find: "isFailure ? Effect.fail(textOf(encodedResult)) : Effect.succeed(encodedResult)",
    replace: "Effect.succeed(encodedResult)",
    tests: byToolkits
  },
  {
    name: "toolkits: an annotation claims what nobody wrote",
    file: toolkit,
    find: 'annotation(ai, "Readonly") === true',
    replace: 'annotation(ai, "Readonly") !== false',
    tests: byToolkits
  },
  {
    name: "toolkits: a tool of its provider is taken",
    file: toolkit,
    find: "if (isProviderDefined(ai)) return ai as unknown as Tool.Any\n  let",
    replace: "let",
    tests: byToolkits
  },
  {
    name: "toolkits: the tools of a call stay in their lists",
    file: toolset,
    find: "(flat === tools ? options : { ...options, tools: flat })",
    replace: "options",
    tests: byToolkits
  },
  {
    name: "tools: what a tool claims of its effects is not looked at",
    file: toolset,
    find: 'effects !== undefined && effects !== "pure" && effects !== "idempotent"',
    replace: "effects === null",
    tests: byToolkits
  },
  {
    name: "tools: a field that is renamed keeps its name",
    file: "src/services/AnySchema.ts",
    find: "const name = ast.from.fromKey ?? key",
    replace: "const name = key",
    tests: byToolkits
  },
  {
    name: "authority: a tool of a subagent can be called",
    file: "src/programs/dispatch.ts",
    find: "const tool = tools.byName.get(call.name)",
    replace:
      "const tool = tools.byName.get(call.name) ?? running.ref.agent.subagents.flatMap((it) => it.tools).find((it) => it.name === call.name)",
    tests: byAuthority
  },
  {
    name: "authority: a tool that was given once can be called by all",
    file: toolset,
    find: "byName: new Map(tools.map((tool) => [tool.name, tool])),",
    replace: "byName: tools.reduce((all, tool) => all.set(tool.name, tool), ((globalThis as any).all ??= new Map())),",
    tests: byAuthority
  }
]
