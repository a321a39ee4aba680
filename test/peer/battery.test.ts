/** What other systems say of their battery, read. */
import { expect, test } from 'vitest'
import { parseCim, parsePmset, readBattery } from '../../src/peer/battery.ts'

test('pmset of macOS', () => {
  const line = (source: string, state: string): string =>
    `Now drawing from '${source}'\n -InternalBattery-0 (id=4522083)\t85%; ${state}; 4:10 remaining present: true\n`
  expect(parsePmset(line('Battery Power', 'discharging'))).toEqual({
    percent: 85,
    isCharging: false,
    isOnBattery: true,
  })
  expect(parsePmset(line('AC Power', 'charging'))).toEqual({
    percent: 85,
    isCharging: true,
    isOnBattery: false,
  })
  expect(parsePmset(line('AC Power', 'finishing charge'))?.isOnBattery).toBe(false)
  expect(parsePmset("Now drawing from 'AC Power'\n")).toBeUndefined()
  expect(parsePmset(' -InternalBattery-0\t185%; charged;')).toBeUndefined()
})

test('CIM of Windows', () => {
  const answer = (status: number): string => `{"EstimatedChargeRemaining":64,"BatteryStatus":${status}}\r\n`
  expect(parseCim(answer(1))).toEqual({ percent: 64, isCharging: false, isOnBattery: true })
  expect(parseCim(answer(2))).toEqual({ percent: 64, isCharging: false, isOnBattery: false })
  expect(parseCim(answer(6))).toEqual({ percent: 64, isCharging: true, isOnBattery: false })
  expect(parseCim(`[${answer(4)},${answer(2)}]`)?.isOnBattery).toBe(true)
  expect(parseCim('')).toBeUndefined()
  expect(parseCim('null')).toBeUndefined()
  expect(parseCim('{"EstimatedChargeRemaining":null}')).toBeUndefined()
})

test('a system that does not answer has none', async () => {
  expect(await readBattery('aix')).toBeUndefined()
  if (process.platform !== 'darwin') expect(await readBattery('darwin')).toBeUndefined()
})
