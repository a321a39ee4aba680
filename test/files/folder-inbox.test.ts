/** What waits for the next round of a folder. */
import { describe, expect, test } from 'vitest'
import { createInbox } from '../../src/files/folder-inbox.ts'

const nowhere = {
  idOf: () => undefined,
  nearestOf: () => 'root',
  pathOf: (id: string) => id,
}

describe('what a round led to', () => {
  test('waits for more of its kind, except for directories that were made', () => {
    const inbox = createInbox(nowhere)
    inbox.addFound({ again: ['a'], news: ['b'], made: [] })
    expect(inbox.isUrgent).toBe(false)
    expect(inbox.take().dirty).toEqual(new Set(['a', 'b']))
    inbox.addFound({ again: [], news: ['b', 'c'], made: ['c'] })
    expect(inbox.isUrgent).toBe(true)
    expect(inbox.take().dirty).toEqual(new Set(['b', 'c']))
    expect(inbox.isUrgent).toBe(false)
    expect(inbox.hasWork).toBe(false)
  })
})
