/** A binary heap: the first item by `before` is always at hand. O(log n) in and out. */
import { assert } from './assert.ts'

export interface Heap<T> {
  readonly size: number
  first(): T | undefined
  push(item: T): void
  pop(): T | undefined
}

/** @param before a strict total order: no two items may be equal, or their order is undefined. */
export function createHeap<T>(before: (left: T, right: T) => boolean): Heap<T> {
  const items: T[] = []
  const at = (index: number): T => {
    assert(index < items.length, 'heap index in range')
    return items[index] as T // because: the index was just checked, and T may itself include undefined
  }
  const swap = (left: number, right: number): void => {
    const held = at(left)
    items[left] = at(right)
    items[right] = held
  }
  const sinkFirst = (): void => {
    for (let index = 0; ;) {
      const left = index * 2 + 1
      if (left >= items.length) return
      const right = left + 1
      const child = right < items.length && before(at(right), at(left)) ? right : left
      if (!before(at(child), at(index))) return
      swap(index, child)
      index = child
    }
  }
  return {
    get size() {
      return items.length
    },
    first: () => items[0],
    push(item) {
      items.push(item)
      for (let index = items.length - 1; index > 0;) {
        const parent = (index - 1) >> 1
        if (!before(at(index), at(parent))) return
        swap(index, parent)
        index = parent
      }
    },
    pop() {
      const top = items[0]
      const last = items.pop()
      if (items.length > 0 && last !== undefined) {
        items[0] = last
        sinkFirst()
      }
      return top
    },
  }
}
