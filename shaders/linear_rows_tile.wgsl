// Chosen rows of a linear layer, such as the words a sentence's translation may consist of.
// Many rows of input: tiles.
//#include run
//#include linear_rows
//#include weights
//#include input
//#include vectors
//#include tile_body
