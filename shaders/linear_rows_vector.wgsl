// Chosen rows of a linear layer, such as the words a sentence's translation may consist of.
// A few rows of input: matrix × vector.
//#include run
//#include linear_rows
//#include weights
//#include input
//#include vectors
//#include lanes
//#include vector_body
