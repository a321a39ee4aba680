/** Merges without a thread, which would answer in a time of its own. */
import { limits } from '../../src/base/limits.ts'
import { mergeContents } from '../../src/files/merge-contents.ts'
import type { MergeWorkers } from '../../src/files/merge-workers.ts'

export const mergesAtOnce: MergeWorkers = {
  merge: (request) => Promise.resolve(mergeContents(request, { left: limits.mergeSteps })),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}
