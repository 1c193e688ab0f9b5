/** The consumer group that settles every stream but `alarms`, which have a journal of their own. */
export const STORE_GROUP = 'store';
