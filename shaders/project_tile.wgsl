// Query, key and value of an attention, turned and appended.
// Many rows of input: tiles in shared memory.
//#include run
//#include project
//#include weights
//#include input
//#include vectors
//#include tile_body
