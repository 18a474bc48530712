// Adapter of @platformatic/kafka.
import { readFileSync } from 'node:fs'
import zlib from 'node:zlib'
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { gathered, serve } from './adapter.mjs'

const base = { clientId: 'interop', bootstrapBrokers: [process.argv[2]], retries: 5, retryDelay: 200 }
const members = new Map()

async function using (client, work) {
  try {
    return await work(client)
  } finally {
    await (client instanceof Consumer ? client.close(true) : client.close())
  }
}
const administer = (work) => using(new Admin(base), work)

async function produce (topic, partitions, compression, acks, prefix, count, timeMs) {
  await using(new Producer({ ...base, compression, acks: acks === 'all' ? -1 : Number(acks) }), (producer) => producer.send({
    messages: Array.from({ length: Number(count) }, (_, i) => ({
      topic, key: Buffer.from(`${prefix}-${i}`), value: Buffer.from('v'.repeat(100)), partition: i % partitions,
      timestamp: BigInt(timeMs) + BigInt(i)
    }))
  }))
}

function collect (stream, records, next) {
  stream.on('data', ({ partition, offset, key, topic }) => {
    records.push({ partition, offset, key: key.toString() })
    next?.set(partition, { topic, partition, offset, leaderEpoch: 0 })
  })
  stream.on('error', (error) => process.stderr.write(`${error.message}\n`))
}

async function read (topic, partitions, fromMs, count) {
  const consumer = new Consumer({ ...base, groupId: `reader-${Math.random()}`, maxWaitTime: 100 })
  return await using(consumer, async () => {
    let offsets
    const options = { topics: [topic], mode: 'earliest', autocommit: false }
    if (fromMs !== '-2') {
      const found = await consumer.listOffsets({ topics: [topic], timestamp: BigInt(fromMs) })
      offsets = found.get(topic).map((offset, partition) => ({ topic, partition, offset }))
      Object.assign(options, { mode: 'manual', offsets })
    }
    const records = []
    collect(await consumer.consume(options), records)
    return await gathered(records, count)
  })
}

async function join (name, groupId, topic) {
  const consumer = new Consumer({
    ...base, groupId, heartbeatInterval: 300, sessionTimeout: 6000, rebalanceTimeout: 6000, maxWaitTime: 100
  })
  const member = { consumer, topic, records: [], next: new Map() }
  members.set(name, member)
  consumer.on('consumer:group:join', () => member.next.clear())
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  collect(stream, member.records, member.next)
}

// This client's commit names what is to be read next.
async function commit (name) {
  const { consumer, next } = members.get(name)
  const offsets = [...next.values()].map((each) => ({ ...each, offset: each.offset + 1n }))
  if (offsets.length > 0) await consumer.commit({ offsets })
}

const version = JSON.parse(readFileSync(new URL('./node_modules/@platformatic/kafka/package.json', import.meta.url))).version
serve({
  hello: () => [`@platformatic/kafka ${version} on node ${process.versions.node}`],
  codecs: () => ['none', 'gzip', 'snappy', 'lz4', ...(zlib.zstdCompressSync ? ['zstd'] : [])],
  create: (topic, partitions) => administer(async (admin) => {
    await admin.createTopics({ topics: [topic], partitions: Number(partitions), replicas: 1 })
  }),
  produce,
  read,
  join,
  poll: (name) => members.get(name).records.splice(0).map(({ partition, offset, key }) => `${partition} ${offset} ${key}`),
  assigned: (name) => {
    const { consumer, topic } = members.get(name)
    return (consumer.assignments ?? []).filter((each) => each.topic === topic).flatMap((each) => each.partitions)
  },
  commit,
  leave: async (name) => {
    await members.get(name).consumer.close(true)
    members.delete(name)
  },
  committed: (groupId, topic, partitions) => using(new Consumer({ ...base, groupId }), async (consumer) => {
    const wanted = { topic, partitions: Array.from({ length: Number(partitions) }, (_, p) => p) }
    const found = await consumer.listCommittedOffsets({ topics: [wanted] })
    return found.get(topic).map((offset, partition) => `${partition} ${offset}`)
  }),
  topics: () => administer((admin) => admin.listTopics()),
  partitions: (topic) => administer(async (admin) => {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
    return [topics.get(topic).partitionsCount]
  }),
  groups: () => administer(async (admin) => [...(await admin.listGroups()).keys()]),
  delete: (topic) => administer(async (admin) => { await admin.deleteTopics({ topics: [topic] }) }),
  delete_group: (group) => administer(async (admin) => { await admin.deleteGroups({ groups: [group] }) }),
  transaction: () => using(new Producer({ ...base, transactionalId: 't', idempotent: true }), async (producer) => {
    try {
      await producer.beginTransaction()
    } catch (error) {
      return [`${error.name}: ${error.message} ${(error.errors ?? []).map((each) => each.message).join(', ')}`.replace(/\n/g, ' ')]
    }
  })
})
