// Query, key and value of an attention, turned and appended.
// A few rows of input: matrix × vector, with the RMS norm of the input on the way.
//#include run
//#include project
//#include weights
//#include input
//#include vectors
//#include lanes
//#include vector_body
