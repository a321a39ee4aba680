/** The Keep on files: the contract, damage, permissions, and what is left after kill -9. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import { createHomeKeep } from '../../src/peer/home-keep.ts'
import { parseRecords } from '../../src/peer/record-log.ts'
import { describeKeep } from '../contract/keep.ts'
import { temporaryDirectory } from '../support/temporary-home.ts'

const env = createSystemEnv()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('the Keep in memory', () => {
  describeKeep(() => {
    const keep = createMemoryKeep()
    return Promise.resolve({ keep, reopen: () => Promise.resolve(keep) })
  })
})

describe('the Keep on files', () => {
  describeKeep(async () => {
    const directory = await temporaryDirectory()
    return { keep: await createHomeKeep(env, directory), reopen: () => createHomeKeep(env, directory) }
  })

  test('values and records have the bytes of the format, and only the owner can read them', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await keep.write('name', bytes('skein'))
    await keep.append('name', bytes('skein'))
    expect((await readFile(join(directory, 'name.value'))).toString('hex')).toBe(
      '534b56312f2742392c67f60c5f125eabfee13d57736b65696e',
    )
    expect((await readFile(join(directory, 'name.log'))).toString('hex')).toBe(
      '00000005512e2b932f2742392c67f60c5f125eabfee13d57736b65696e',
    )
    expect((await stat(join(directory, 'name.value'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, 'name.log'))).mode & 0o777).toBe(0o600)
  })

  test('a flipped bit in a value is reported, never returned', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await keep.write('name', bytes('skein'))
    const path = join(directory, 'name.value')
    const written = await readFile(path)
    for (let index = 0; index < written.byteLength; index++) {
      const flipped = Buffer.from(written)
      flipped[index] = (flipped[index] ?? 0) ^ 0x10
      await writeFile(path, flipped)
      await expect(keep.read('name')).rejects.toMatchObject({ code: 'store.corrupt' })
    }
    await truncate(path, 0)
    await expect(keep.read('name')).rejects.toMatchObject({ code: 'store.corrupt' })
  })

  test('a secret that others may read is refused, and the error names the command', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await keep.write('key', bytes('secret'), { secret: true })
    const path = join(directory, 'secret', 'key.value')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, 'secret'))).mode & 0o777).toBe(0o700)
    await chmod(path, 0o640)
    await expect(keep.read('key')).rejects.toMatchObject({
      code: 'home.unusable',
      fix: `chmod 600 '${path}'`,
    })
  })

  test('cut at any byte, a log gives exactly the records that were whole, and takes new ones', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    const records = ['one', '', 'three', 'four and more'].map(bytes)
    const ends = [0]
    const path = join(directory, 'roster.log')
    for (const record of records) {
      await keep.append('roster', record)
      ends.push((await stat(path)).size)
    }
    const whole = await readFile(path)
    for (let size = 0; size <= whole.byteLength; size++) {
      await writeFile(path, whole.subarray(0, size))
      const again = await createHomeKeep(env, directory)
      const count = ends.findLastIndex((end) => end <= size)
      expect(await again.readLog('roster')).toEqual(records.slice(0, count))
      await again.append('roster', bytes('new'))
      expect(await again.readLog('roster')).toEqual([...records.slice(0, count), bytes('new')])
    }
  })

  test('zeros after the last record, as a power cut leaves them, are cut off', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await keep.append('roster', bytes('one'))
    const path = join(directory, 'roster.log')
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(4096)]))
    expect(await (await createHomeKeep(env, directory)).readLog('roster')).toEqual([bytes('one')])
  })

  test('a flipped bit before the last record is damage, not a torn end', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await keep.append('roster', bytes('one'))
    await keep.append('roster', bytes('two'))
    const path = join(directory, 'roster.log')
    const whole = await readFile(path)
    for (let index = 0; index < whole.byteLength / 2; index++) {
      const flipped = Buffer.from(whole)
      flipped[index] = (flipped[index] ?? 0) ^ 1
      expect(() => parseRecords(flipped, path)).toThrow(expect.objectContaining({ code: 'store.corrupt' }))
    }
  })

  test('a record over the limit is refused before anything is written', async () => {
    const directory = await temporaryDirectory()
    const keep = await createHomeKeep(env, directory)
    await expect(keep.append('roster', new Uint8Array(1024 * 1024 + 1))).rejects.toMatchObject({
      code: 'limit.exceeded',
    })
    expect(await keep.readLog('roster')).toEqual([])
  })

  test('after kill -9 every acknowledged write is there and nothing is half written', async () => {
    const directory = await temporaryDirectory()
    let lastValue = -1
    let lastRecord = -1
    for (let round = 0; round < 8; round++) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('../support/keep-writer.ts', import.meta.url)), directory],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      let acknowledged = 0
      const enough = 20 + round * 7
      for await (const line of createInterface({ input: child.stdout })) {
        const [kind, count] = line.split(' ')
        if (kind === 'value') lastValue = Number(count)
        if (kind === 'record') lastRecord = Number(count)
        if (++acknowledged === enough) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const keep = await createHomeKeep(env, directory)
      const value = await keep.read('value')
      expect(value?.byteLength).toBe(20_000)
      expect(new Set(value).size).toBe(1)
      const records = (await keep.readLog('log')).map((record) => Number(new TextDecoder().decode(record)))
      expect(records).toEqual(records.map((_record, index) => index))
      expect(records.length).toBeGreaterThan(lastRecord)
      // Values are a counter modulo 256: the one found is the last acknowledged or the one being written
      expect([lastValue & 0xff, (lastValue + 1) & 0xff]).toContain(value?.[0])
    }
    expect(lastRecord).toBeGreaterThan(50)
  }, 60_000)
})
