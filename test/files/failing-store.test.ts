/** A folder whose store fails while it reads what is known of the disk: it reads that again, all of it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SkeinError } from '../../src/base/errors.ts'
import { converged, createPair, type Device, until } from '../support/two-folders.ts'

const failed = (): SkeinError => new SkeinError('store.failed', 'the database has failed')
/** A stopped folder tries again after five seconds, at most twice here. */
const waitMs = 20_000

/** @returns how many readings of rows have failed; they do while `isFailing` says so. */
function failReadings({ space }: Device, isFailing: (failures: number) => boolean): { failures: number } {
  const counted = { failures: 0 }
  let isOpen = false
  const children = space.index.children.bind(space.index)
  const outlines = space.index.outlines.bind(space.index)
  const failsNow = (): boolean => {
    const fails = isFailing(counted.failures)
    if (fails) counted.failures++
    return fails
  }
  Object.assign(space.index, {
    children: (directory: string) => (failsNow() ? Promise.reject(failed()) : children(directory)),
    outlines: async function* () {
      // A folder that is opened anew fails by itself: only what is read while it runs is meant
      if (isOpen && failsNow()) throw failed()
      yield* outlines()
      isOpen = true
    },
  })
  return counted
}

describe('a folder whose store fails', () => {
  test('while rows that were lost are read again: it still sees into all directories afterwards', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    const store = { isFailing: false }
    await mkdir(join(a.root, 'dir'))
    await converged([a, b])
    // The reading after all was forgotten, no other
    const readings = failReadings(b, () => store.isFailing && b.folder.status().directories === 0)
    await b.restart((plain) => ({
      ...plain,
      syncAll: (files, directories) =>
        // Staged files are synced by themselves, before they get their names
        store.isFailing && directories.length > 0
          ? Promise.reject(failed())
          : plain.syncAll(files, directories),
    }))
    await until(() => b.folder.status().state === 'in-sync', [b])
    store.isFailing = true
    await writeFile(join(a.root, 'came'), 'placed, then its row is lost')
    await until(() => readings.failures > 0, [a, b])
    store.isFailing = false
    await writeFile(join(b.root, 'dir/inside'), 'made while the folder was stopped')
    await until(async () => (await a.space.lookup('dir/inside')) !== undefined, [a, b], waitMs)
    expect(await converged([a, b])).toEqual({
      came: 'placed, then its row is lost',
      'dir/': 'dir',
      'dir/inside': 'made while the folder was stopped',
    })
  }, 40_000)

  test('at its start: it comes up once the store has opened again', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'dir'))
    await converged([a, b])
    await b.stop()
    const readings = failReadings(b, (failures) => failures === 0)
    await b.restart()
    await until(() => readings.failures > 0, [b])
    await writeFile(join(a.root, 'dir/later'), 'later')
    await until(() => b.folder.status().state === 'in-sync', [b], waitMs)
    expect(await converged([a, b])).toEqual({ 'dir/': 'dir', 'dir/later': 'later' })
  }, 40_000)
})
