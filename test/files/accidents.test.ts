/** Accidents: many files deleted at once, a root that is gone or another one. */
import { mkdir, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { converged, createPair, picture, until } from '../support/two-folders.ts'

describe('accidents', () => {
  test('many deletions at once wait for a person, and can be undone or allowed', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (let index = 0; index < 60; index++) await writeFile(join(a.root, `file${index}`), `${index}`)
    await converged([a, b])
    await a.stop()
    for (let index = 0; index < 50; index++) await unlink(join(a.root, `file${index}`))
    await a.restart()
    await until(() => a.folder.status().heldDeletions === 50, [a, b])
    await until(() => a.folder.status().state === 'waiting', [a, b])
    expect(a.folder.status().state).toBe('waiting')
    expect(Object.keys(await picture(b.root)).length).toBe(60)
    await a.folder.undoDeletions()
    expect(Object.keys(await converged([a, b])).length).toBe(60)
    await a.stop()
    for (let index = 0; index < 50; index++) await unlink(join(a.root, `file${index}`))
    await a.restart()
    await until(() => a.folder.status().heldDeletions === 50, [a, b])
    a.folder.allowDeletions()
    await until(async () => Object.keys(await picture(b.root)).length === 10, [a, b])
    expect(Object.keys(await converged([a, b])).length).toBe(10)
    // Each of them is kept; one that the undo brought back in between may be there twice
    const kept = new Set((await b.folder.versions.list()).map(({ path }) => path))
    expect(kept).toEqual(new Set(Array.from({ length: 50 }, (_, index) => `file${index}`)))
  })

  test('deletions that wait for a person still do when something else goes on', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'elsewhere'))
    for (let index = 0; index < 60; index++) await writeFile(join(a.root, `file${index}`), `${index}`)
    await converged([a, b])
    await a.stop()
    for (let index = 0; index < 50; index++) await unlink(join(a.root, `file${index}`))
    await a.restart()
    await until(() => a.folder.status().heldDeletions === 50, [a, b])
    await writeFile(join(b.root, 'elsewhere/news'), 'by b')
    await until(async () => (await picture(a.root))['elsewhere/news'] === 'by b', [a, b])
    await writeFile(join(a.root, 'elsewhere/answer'), 'by a')
    await until(async () => (await picture(b.root))['elsewhere/answer'] === 'by a', [a, b])
    expect(a.folder.status()).toMatchObject({ heldDeletions: 50 })
    await a.folder.undoDeletions()
    expect(Object.keys(await converged([a, b]))).toHaveLength(63)
  })

  test('deletions that wait for a person do not pass part by part', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    for (const directory of ['one', 'two']) {
      await mkdir(join(a.root, directory))
      for (let index = 0; index < 30; index++)
        await writeFile(join(a.root, directory, `${index}`), `${index}`)
    }
    await converged([a, b])
    await a.stop()
    for (const directory of ['one', 'two'])
      for (let index = 0; index < 20; index++) await unlink(join(a.root, directory, `${index}`))
    await a.restart()
    await until(() => a.folder.status().heldDeletions === 40, [a, b])
    // Alone what is gone from this directory would be few enough
    await writeFile(join(a.root, 'one/29'), 'by a')
    await until(async () => (await picture(b.root))['one/29'] === 'by a', [a, b])
    expect(a.folder.status()).toMatchObject({ heldDeletions: 40 })
    expect(Object.keys(await picture(b.root))).toHaveLength(62)
  })

  test('deletions that wait for a person wait no longer once others deleted the same', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await mkdir(join(a.root, 'all'))
    await writeFile(join(a.root, 'other'), 'stays')
    for (let index = 0; index < 60; index++) await writeFile(join(a.root, `all/${index}`), `${index}`)
    await converged([a, b])
    await a.stop()
    await rm(join(a.root, 'all'), { recursive: true })
    await a.restart()
    await until(() => a.folder.status().heldDeletions >= 60, [a, b])
    await rm(join(b.root, 'all'), { recursive: true })
    await until(() => b.folder.status().heldDeletions >= 60, [a, b])
    b.folder.allowDeletions()
    await until(() => a.folder.status().heldDeletions === 0, [a, b])
    expect(await converged([a, b])).toEqual({ other: 'stays' })
  })

  test('a root that is gone, empty or another one deletes nothing anywhere', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(join(a.root, 'precious'), 'data')
    await converged([a, b])
    await a.stop()
    await rename(a.root, `${a.root}-away`)
    await mkdir(a.root)
    await a.restart()
    await until(() => a.folder.status().state === 'stopped', [a, b])
    expect(a.folder.status().stoppedBy?.cause).toMatch(/mounted/)
    // A marker made by hand does not help
    await mkdir(join(a.root, '.skein'))
    await writeFile(join(a.root, '.skein/marker'), 'hand-made')
    await a.restart()
    await until(() => a.folder.status().state === 'stopped', [a, b])
    expect(await picture(b.root)).toEqual({ precious: 'data' })
    await a.stop()
    await rm(a.root, { recursive: true })
    await rename(`${a.root}-away`, a.root)
    await a.restart()
    expect(await converged([a, b])).toEqual({ precious: 'data' })
  })

  test('one file that cannot be read is a problem with cause and fix; the rest goes on', async () => {
    await using pair = await createPair()
    const { a, b } = pair
    await writeFile(Buffer.concat([Buffer.from(join(a.root, 'bad')), Buffer.from([0xff])]), 'x')
    await writeFile(join(a.root, 'good'), 'good')
    await until(async () => (await picture(b.root))['good'] === 'good', [a, b])
    await until(() => a.folder.status().problems.length === 1, [a, b])
    expect(a.folder.status().problems[0]).toMatchObject({
      path: 'badÿ',
      cause: 'the name is not valid UTF-8',
    })
  })
})
