/** Where a simulated device keeps its store: it can lose power, and be put back from a backup, as a directory that is copied. */
import type { Random } from '../../src/base/random.ts'
import type { Database } from '../../src/crdt/database.ts'
import { createMemoryDisk, type MemoryDisk } from '../../src/crdt/memory-database.ts'
import { openStore, type Store, type StoreOptions } from '../../src/crdt/store.ts'
import type { Env } from '../../src/base/env.ts'
import { createMemoryWitness, type MemoryWitness } from '../../src/crdt/witness.ts'

export class DeviceHome {
  disk: MemoryDisk = createMemoryDisk()
  private witness: MemoryWitness = createMemoryWitness()
  private backup: MemoryDisk | undefined
  private boots = 0

  /** @param wrap puts the faults of a disk around the database. */
  openStore(env: Env, wrap: (database: Database) => Database): Promise<Store> {
    const options: StoreOptions = {
      open: async () => wrap(await this.disk.open()),
      witness: this.witness,
      boot: `boot ${this.boots}`,
    }
    return openStore(env, options)
  }

  losePower(): void {
    this.boots++
    this.disk.losePower()
  }

  get hasBackup(): boolean {
    return this.backup !== undefined
  }

  /** By a program that copies files while the peer runs or not. */
  backUp(): void {
    this.backup = this.disk.copy()
  }

  /** Nobody may have it open. */
  restore(random: Random): void {
    if (this.backup === undefined) return
    this.disk = this.backup.copy()
    this.witness = this.witness.copy(random)
  }
}
