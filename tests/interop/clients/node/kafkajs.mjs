// Adapter of kafkajs, with codecs that need no compiler: its own for zstd, @kafkajs/zstd, is built when it is installed.
import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import LZ4 from '@2l/kafkajs-lz4'
import { ZstdCodec } from 'zstd-codec'
import { gathered, serve } from './adapter.mjs'

const { Kafka, CompressionTypes, CompressionCodecs, logLevel, Partitioners } = kafkajs
const zstd = new (await new Promise((resolve) => ZstdCodec.run(resolve))).Simple()
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer))
})
const types = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}
const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING })
const members = new Map()

async function administer (work) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

async function produce (topic, partitions, codec, acks, prefix, count, timeMs) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const messages = Array.from({ length: Number(count) }, (_, i) => ({
    key: `${prefix}-${i}`, value: 'v'.repeat(100), partition: i % partitions, timestamp: String(Number(timeMs) + i)
  }))
  await producer.send({ topic, messages, acks: acks === 'all' ? -1 : Number(acks), compression: types[codec] })
  await producer.disconnect()
}

// kafkajs reads as a group only; to begin at a time is to seek there.
async function read (topic, partitions, fromMs, count) {
  const consumer = kafka.consumer({ groupId: `reader-${topic}-${Math.random()}`, maxWaitTimeInMs: 100 })
  const records = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const places = fromMs === '-2' ? [] : await administer((admin) => admin.fetchTopicOffsetsByTimestamp(topic, Number(fromMs)))
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      const begin = places.find((place) => place.partition === partition)
      if (begin === undefined || Number(message.offset) >= Number(begin.offset)) {
        records.push({ partition, offset: message.offset, key: message.key.toString() })
      }
    }
  })
  for (const { partition, offset } of places) consumer.seek({ topic, partition, offset })
  const lines = await gathered(records, count)
  await consumer.disconnect()
  return lines
}

async function join (name, groupId, topic) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, sessionTimeout: 6000, maxWaitTimeInMs: 100 })
  const member = { consumer, topic, records: [], partitions: [], next: new Map() }
  members.set(name, member)
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    member.partitions = payload.memberAssignment[topic] ?? []
    member.next.clear()
  })
  consumer.on(consumer.events.REBALANCING, () => { member.partitions = [] })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      member.records.push(`${partition} ${message.offset} ${message.key}`)
      member.next.set(partition, String(Number(message.offset) + 1))
    }
  })
}

async function commit (name) {
  const { consumer, topic, next } = members.get(name)
  const offsets = [...next].map(([partition, offset]) => ({ topic, partition, offset }))
  if (offsets.length > 0) await consumer.commitOffsets(offsets)
}

async function transaction () {
  const producer = kafka.producer({
    transactionalId: 't', idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner
  })
  await producer.connect()
  try {
    await producer.transaction()
  } catch (error) {
    return [`${error.name}: ${error.message}`]
  } finally {
    await producer.disconnect()
  }
}

serve({
  hello: () => [`kafkajs ${createRequire(import.meta.url)('kafkajs/package.json').version} on node ${process.versions.node}`],
  codecs: () => Object.keys(types),
  create: (topic, numPartitions) => administer(async (admin) => {
    const made = await admin.createTopics({ topics: [{ topic, numPartitions: Number(numPartitions) }], waitForLeaders: false })
    if (!made) throw new Error('the topic exists')
  }),
  produce,
  read,
  join,
  poll: (name) => members.get(name).records.splice(0),
  assigned: (name) => members.get(name).partitions,
  commit,
  leave: async (name) => {
    await members.get(name).consumer.disconnect()
    members.delete(name)
  },
  committed: (groupId, topic) => administer(async (admin) => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return partitions.map(({ partition, offset }) => `${partition} ${offset}`)
  }),
  topics: () => administer((admin) => admin.listTopics()),
  partitions: (topic) => administer(async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return [topics[0].partitions.length]
  }),
  groups: () => administer(async (admin) => (await admin.listGroups()).groups.map(({ groupId }) => groupId)),
  delete: (topic) => administer((admin) => admin.deleteTopics({ topics: [topic] })),
  delete_group: (group) => administer(async (admin) => { await admin.deleteGroups([group]) }),
  transaction
})
