/** What every Keep must hold to: values are replaced whole, logs keep their order, nothing is shared by reference. */
import { expect, test } from 'vitest'
import type { Keep } from '../../src/base/keep.ts'

/** @param setup a fresh empty Keep, and how to open the same one again as after a restart. */
export function describeKeep(
  setup: () => Promise<{ readonly keep: Keep; readonly reopen: () => Promise<Keep> }>,
): void {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

  test('what was never written is undefined, an unwritten log is empty', async () => {
    const { keep } = await setup()
    expect(await keep.read('nothing')).toBeUndefined()
    expect(await keep.readLog('nothing')).toEqual([])
  })

  test('a value is read back as it was written last, also after a restart', async () => {
    const { keep, reopen } = await setup()
    await keep.write('name', bytes('first'))
    await keep.write('name', bytes('second'))
    expect(await keep.read('name')).toEqual(bytes('second'))
    expect(await (await reopen()).read('name')).toEqual(bytes('second'))
  })

  test('an empty value is a value, and all bytes survive', async () => {
    const { keep, reopen } = await setup()
    const all = Uint8Array.from({ length: 70_000 }, (_value, index) => (index * 7) & 0xff)
    await keep.write('empty', new Uint8Array())
    await keep.write('all', all)
    const again = await reopen()
    expect(await again.read('empty')).toEqual(new Uint8Array())
    expect(await again.read('all')).toEqual(all)
  })

  test('a value can turn secret and back without an older one coming to light', async () => {
    const { keep, reopen } = await setup()
    await keep.write('key', bytes('one'))
    await keep.write('key', bytes('two'), { secret: true })
    expect(await (await reopen()).read('key')).toEqual(bytes('two'))
    await keep.write('key', bytes('three'))
    expect(await (await reopen()).read('key')).toEqual(bytes('three'))
  })

  test('records come back in the order of append, also when appended at once', async () => {
    const { keep, reopen } = await setup()
    await Promise.all(
      Array.from({ length: 30 }, (_value, index) => keep.append('log', bytes(`record ${index}`))),
    )
    await keep.append('log', new Uint8Array())
    const expected = [
      ...Array.from({ length: 30 }, (_value, index) => bytes(`record ${index}`)),
      new Uint8Array(),
    ]
    expect(await keep.readLog('log')).toEqual(expected)
    const again = await reopen()
    await again.append('log', bytes('later'))
    expect(await again.readLog('log')).toEqual([...expected, bytes('later')])
  })

  test('values and logs of the same name do not meet', async () => {
    const { keep } = await setup()
    await keep.write('same', bytes('value'))
    await keep.append('same', bytes('record'))
    expect(await keep.read('same')).toEqual(bytes('value'))
    expect(await keep.readLog('same')).toEqual([bytes('record')])
  })

  test('removal takes values, secrets and logs, and is no error when there is nothing', async () => {
    const { keep, reopen } = await setup()
    await keep.write('a', bytes('1'))
    await keep.write('b', bytes('2'), { secret: true })
    await keep.append('c', bytes('3'))
    for (const name of ['a', 'b', 'c', 'never']) await keep.remove(name)
    const again = await reopen()
    expect([await again.read('a'), await again.read('b')]).toEqual([undefined, undefined])
    expect(await again.readLog('c')).toEqual([])
    await again.append('c', bytes('new'))
    expect(await again.readLog('c')).toEqual([bytes('new')])
  })

  test('buffers stay with their owners', async () => {
    const { keep } = await setup()
    const mine = bytes('mine')
    const writing = keep.write('v', mine)
    const appending = keep.append('l', mine)
    mine.fill(0)
    await Promise.all([writing, appending])
    const read = await keep.read('v')
    read?.fill(1)
    expect(await keep.read('v')).toEqual(bytes('mine'))
    expect(await keep.readLog('l')).toEqual([bytes('mine')])
  })
}
