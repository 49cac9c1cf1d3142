/**
 * The record format as schemas, for a store that keeps text and for programs that read what it keeps. Loads
 * `effect/Schema`, which `effect-baton` itself does not.
 */
export {
  Assistant,
  AssistantPart,
  type Draft,
  Entry,
  FinishReason,
  formatVersion,
  HoldKind,
  ImagePart,
  OperationKind,
  OperationRef,
  OperationSettled,
  OperationStarted,
  ReasoningPart,
  TaskLink,
  TaskSettled,
  TextPart,
  ToolCallPart,
  ToolOutcome,
  ToolSettled,
  ToolStarted,
  Usage,
  User,
  UserPart
} from "./services/Entry.js"
