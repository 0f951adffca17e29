"""A photo of rubbish in, an answer how to sort it out: the pipeline that polypool was made for."""
