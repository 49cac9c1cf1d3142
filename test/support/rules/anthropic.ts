/**
 * The rules of Anthropic's Messages API for a request body, strictly: also what the API mends by itself (two messages
 * of one role in a row) is told.
 */
import { type Fields, Findings, imageTypes } from "./Findings.js"

/** A block of thinking by its signature, as the provider gave it. */
export interface Signed {
  readonly thinking: string
  readonly signature: string
}

const toolName = /^[a-zA-Z0-9_-]{1,128}$/
const callId = /^[a-zA-Z0-9_-]+$/
/** Markers that a request may have. */
const maxMarkers = 4
const leastBudget = 1024

/** What is wrong with a body. With `signed`, thinking that is not the provider's own to the letter is told too. */
export const anthropicProblems = (body: unknown, signed?: ReadonlyArray<Signed>): ReadonlyArray<string> => {
  const findings = new Findings()
  new Check(findings, signed).body(findings.fields(body, "body"))
  return findings.found
}

class Check {
  private readonly ids = new Set<string>()
  private markers = 0
  private thinks = false
  private usesTools = false

  constructor(
    private readonly findings: Findings,
    private readonly signed: ReadonlyArray<Signed> | undefined
  ) {}

  body(body: Fields): void {
    const { findings } = this
    findings.text(body["model"], "model")
    this.limits(body)
    const messages = findings.list(body["messages"], "messages").map((it, i) => findings.fields(it, `messages.${i}`))
    if (messages.length === 0) findings.add("messages", "none")
    else if (messages[0]!["role"] !== "user") findings.add("messages.0", "the first message is not the user's")
    for (const [i, message] of messages.entries()) {
      const where = `messages.${i}`
      if (i > 0 && messages[i - 1]!["role"] === message["role"])
        findings.add(where, "two messages of one role in a row")
      const before = i === 0 ? [] : callsOf(messages[i - 1]!)
      const last = i === messages.length - 1
      if (message["role"] === "user") this.user(contentOf(message), before, where)
      else if (message["role"] === "assistant") this.assistant(contentOf(message), last, where)
      else findings.add(where, `the role ${String(message["role"])}`)
    }
    if (this.thinks) this.toolUseContinues(messages)
    this.tools(body["tools"])
    this.system(body["system"])
    if (this.markers > maxMarkers) findings.add("cache_control", `${this.markers} markers`)
  }

  private limits(body: Fields): void {
    const { findings } = this
    const most = body["max_tokens"]
    if (typeof most !== "number" || !Number.isInteger(most) || most < 1)
      findings.add("max_tokens", "not a whole number")
    if (body["thinking"] === undefined) return
    const thinking = findings.fields(body["thinking"], "thinking")
    if (thinking["type"] !== "enabled") return
    this.thinks = true
    const budget = thinking["budget_tokens"]
    if (typeof budget !== "number" || budget < leastBudget) findings.add("thinking", `a budget of ${String(budget)}`)
    else if (typeof most === "number" && most <= budget) findings.add("max_tokens", "not above the budget of thinking")
    if (body["temperature"] !== undefined && body["temperature"] !== 1)
      findings.add("temperature", "set beside thinking")
    const choice = body["tool_choice"]
    if (choice !== undefined) {
      const type = findings.fields(choice, "tool_choice")["type"]
      if (type !== "auto" && type !== "none") findings.add("tool_choice", "a call is forced beside thinking")
    }
  }

  private user(content: ReadonlyArray<unknown>, calls: ReadonlyArray<string>, where: string): void {
    const { findings } = this
    if (content.length === 0) findings.add(where, "empty content")
    const answered: Array<string> = []
    let other = false
    for (const [i, value] of content.entries()) {
      const at = `${where}.${i}`
      const block = findings.fields(value, at)
      this.marker(block, at)
      switch (block["type"]) {
        case "text":
          other = true
          findings.text(block["text"], at)
          break
        case "image":
          other = true
          this.image(findings.fields(block["source"], `${at}.source`), at)
          break
        case "tool_result": {
          if (other) findings.add(at, "a result after something else")
          this.usesTools = true
          answered.push(String(block["tool_use_id"]))
          this.result(block, at)
          break
        }
        default:
          findings.add(at, `the block ${String(block["type"])} in a user message`)
      }
    }
    for (const id of new Set(answered)) {
      if (!calls.includes(id)) findings.add(where, `a result for ${id}, which the message before does not call`)
      if (answered.indexOf(id) !== answered.lastIndexOf(id)) findings.add(where, `two results for ${id}`)
    }
    for (const id of calls) if (!answered.includes(id)) findings.add(where, `no result for ${id}`)
  }

  private result(block: Fields, at: string): void {
    const { findings } = this
    const content = block["content"]
    if (content === undefined) return
    if (typeof content === "string") {
      if (!content.isWellFormed()) findings.add(at, "half a character")
      if (block["is_error"] === true && content === "") findings.add(at, "an error without content")
      return
    }
    for (const [i, value] of findings.list(content, at).entries()) {
      const part = findings.fields(value, `${at}.${i}`)
      if (part["type"] === "text") findings.text(part["text"], `${at}.${i}`)
      else if (part["type"] === "image") this.image(findings.fields(part["source"], `${at}.${i}`), `${at}.${i}`)
      else findings.add(`${at}.${i}`, `the block ${String(part["type"])} in a result`)
    }
  }

  private assistant(content: ReadonlyArray<unknown>, last: boolean, where: string): void {
    const { findings } = this
    if (content.length === 0) findings.add(where, "empty content")
    const blocks = content.map((value, i) => findings.fields(value, `${where}.${i}`))
    for (const [i, block] of blocks.entries()) {
      const at = `${where}.${i}`
      this.marker(block, at)
      switch (block["type"]) {
        case "text":
          findings.text(block["text"], at)
          break
        case "thinking":
          this.thinking(block, at)
          break
        case "redacted_thinking":
          findings.text(block["data"], at)
          break
        case "tool_use":
          this.use(block, at)
          break
        default:
          findings.add(at, `the block ${String(block["type"])} in a reply`)
      }
    }
    const first = blocks.findIndex(isThinking)
    if (first > 0) findings.add(where, "thinking that is not first")
    const end = blocks.at(-1)
    if (end !== undefined && isThinking(end)) findings.add(where, "the last block is thinking")
    if (!last) return
    if (callsOf({ content }).length > 0) findings.add(where, "calls without results")
    if (this.thinks) findings.add(where, "a reply is begun for a model that thinks")
    const text = end?.["type"] === "text" ? end["text"] : undefined
    if (typeof text === "string" && text !== text.trimEnd()) findings.add(where, "the last reply ends in white space")
  }

  private thinking(block: Fields, at: string): void {
    const { findings, signed } = this
    const { signature, thinking } = block
    if (typeof signature !== "string" || signature === "") findings.add(at, "thinking without a signature")
    else if (signed?.some((it) => it.signature === signature && it.thinking === thinking) === false) {
      findings.add(at, "altered thinking")
    }
    if (typeof thinking !== "string") findings.add(at, "thinking that is not a text")
    if (block["cache_control"] !== undefined) findings.add(at, "a marker on thinking")
  }

  private use(block: Fields, at: string): void {
    const { findings, ids } = this
    const { id, input, name } = block
    this.usesTools = true
    if (typeof id !== "string" || !callId.test(id)) findings.add(at, `the call id ${String(id)}`)
    else if (ids.has(id)) findings.add(at, `two calls have the id ${id}`)
    else ids.add(id)
    if (typeof name !== "string" || !toolName.test(name)) findings.add(at, `the tool name ${String(name)}`)
    findings.fields(input, `${at}.input`)
  }

  /** Where a model thinks, the reply whose calls have just been answered begins with its thinking. */
  private toolUseContinues(messages: ReadonlyArray<Fields>): void {
    const reply = messages.at(-2)
    if (reply === undefined || callsOf(reply).length === 0) return
    const [first] = contentOf(reply)
    if (!isThinking(this.findings.fields(first, "thinking"))) {
      this.findings.add(`messages.${messages.length - 2}`, "calls without the thinking that led to them")
    }
  }

  private image(source: Fields, at: string): void {
    const { findings } = this
    if (source["type"] === "url") return findings.text(source["url"], at)
    if (source["type"] !== "base64") return findings.add(at, `an image by ${String(source["type"])}`)
    if (!imageTypes.includes(String(source["media_type"]))) {
      findings.add(at, `an image of the type ${String(source["media_type"])}`)
    }
    findings.base64(source["data"], at)
  }

  private tools(tools: unknown): void {
    const { findings } = this
    const names = new Set<string>()
    if (tools === undefined || (Array.isArray(tools) && tools.length === 0)) {
      if (this.usesTools) findings.add("tools", "none, and the history has calls")
      return
    }
    for (const [i, value] of findings.list(tools, "tools").entries()) {
      const tool = findings.fields(value, `tools.${i}`)
      this.marker(tool, `tools.${i}`)
      findings.tool(tool["name"], tool["input_schema"], toolName, names, `tools.${i}`)
    }
  }

  private system(system: unknown): void {
    const { findings } = this
    if (system === undefined) return
    if (typeof system === "string") return findings.text(system, "system")
    for (const [i, value] of findings.list(system, "system").entries()) {
      const block = findings.fields(value, `system.${i}`)
      this.marker(block, `system.${i}`)
      findings.text(block["text"], `system.${i}`)
    }
  }

  private marker(block: Fields, at: string): void {
    const marker = block["cache_control"]
    if (marker === undefined || marker === null) return
    this.markers++
    if (this.findings.fields(marker, at)["type"] !== "ephemeral") this.findings.add(at, "an unknown kind of marker")
  }
}

const isThinking = (block: Fields): boolean => block["type"] === "thinking" || block["type"] === "redacted_thinking"

/** Content as blocks; a text stands for one of them. */
const contentOf = ({ content }: Fields): ReadonlyArray<unknown> =>
  typeof content === "string" ? [{ type: "text", text: content }] : Array.isArray(content) ? content : []

const callsOf = (message: Fields): ReadonlyArray<string> =>
  contentOf(message).flatMap((block) =>
    typeof block === "object" && block !== null && "type" in block && block.type === "tool_use" && "id" in block
      ? [String(block.id)]
      : []
  )
