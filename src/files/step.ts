/** What a round has decided to tell: changes of the document and rows of the index that belong together. */
import type { RowChange, TreeChange } from './folder-tree.ts'

/** Parents first. */
export interface Step {
  readonly changes: readonly TreeChange[]
  readonly rows: readonly RowChange[]
}
